"""What pip was told is told to uv, which reads none of it."""

from requirements.uv import for_command, translated


def test_several_values_stand_as_uv_wants_them() -> None:
    """On one line or on several, as a file of pip's may have them; other settings are pip's own."""
    told = r"""
:env:.find-links='/wheels /more'
:env:.timeout='60'
global.extra-index-url='\nhttps://a.example/simple\nhttps://b.example/simple'
global.index-url='https://c.example/simple'
"""
    assert translated(told) == {
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_DEFAULT_INDEX": "https://c.example/simple",
    }


def test_constraints_are_left_out_where_all_is_pinned() -> None:
    """A machine's `torch<=2` would have uv refuse a lock with hashes, and adds nothing to it."""
    found = {"UV_CONSTRAINT": "torch<=2", "UV_FIND_LINKS": "/wheels"}
    assert for_command(found, ["pip", "install", "torch"]) == found
    assert for_command(found, ["pip", "install", "--require-hashes"]) == {
        "UV_FIND_LINKS": "/wheels"
    }
