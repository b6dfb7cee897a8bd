"""What pip was told is told to uv, which reads none of it."""

from requirements.uv import translated


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
