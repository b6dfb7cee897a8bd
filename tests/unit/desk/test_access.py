"""Ways to sign in that lack something, or are not safe, stop the start and name what mends it."""

from pathlib import Path

import pytest

from smallfirst.errors import SettingsError
from smallfirst.settings import DeskSettings, load_settings
from smallfirst_desk.access import access_of
from smallfirst_desk.oidc import is_safe
from smallfirst_desk.proxy import networks_of

SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of nobody
OIDC = {
    "desk_oidc_issuer": "https://id.example.com",
    "desk_oidc_client_id": "desk",
    "desk_url": "https://desk.example.com",
    "desk_secret": SECRET,
}


def problems(**told: object) -> str:
    """What is wrong with these settings."""
    with pytest.raises(SettingsError) as found:
        access_of(load_settings(DeskSettings, Path("/nowhere"), **told))
    return str(found.value)


@pytest.mark.parametrize(
    ("told", "variable"),
    [
        ({"desk_proxy_header": "X-User"}, "SMALLFIRST_DESK_PROXY_FROM"),
        ({"desk_proxy_from": "10.0.0.1"}, "SMALLFIRST_DESK_PROXY_HEADER"),
        ({"desk_proxy_header": "X User", "desk_proxy_from": "10.0.0.1"}, "DESK_PROXY_HEADER"),
        ({"desk_proxy_header": "X-User", "desk_proxy_from": "everybody"}, "DESK_PROXY_FROM"),
        ({"desk_proxy_header": "X-User", "desk_proxy_from": "10.0.0.1/8"}, "DESK_PROXY_FROM"),
        (OIDC | {"desk_oidc_client_id": None}, "SMALLFIRST_DESK_OIDC_CLIENT_ID"),
        (OIDC | {"desk_url": None}, "SMALLFIRST_DESK_URL"),
        (OIDC | {"desk_secret": None}, "SMALLFIRST_DESK_SECRET"),
        (OIDC | {"desk_oidc_issuer": None}, "SMALLFIRST_DESK_OIDC_ISSUER"),
        (OIDC | {"desk_oidc_issuer": "http://id.example.com"}, "must begin with https://"),
        (OIDC | {"desk_oidc_issuer": "id.example.com"}, "SMALLFIRST_DESK_OIDC_ISSUER"),
        (OIDC | {"desk_url": "http://desk.example.com"}, "must begin with https://"),
        (OIDC | {"desk_oidc_secret_file": "/nowhere/secret"}, "cannot be read"),
    ],
)
def test_what_is_missing_or_unsafe_is_named(told: dict[str, object], variable: str) -> None:
    """By the variable that mends it, and before any page is served."""
    assert variable in problems(**told)


def test_all_faults_are_told_at_once() -> None:
    """Nobody should have to start three times to learn of three."""
    told = OIDC | {"desk_url": None, "desk_oidc_client_id": None, "desk_proxy_header": "X-User"}
    assert problems(**told).count("SMALLFIRST_DESK_") >= 3


def test_without_settings_there_is_a_password_alone() -> None:
    """No header and no provider is believed that nobody named."""
    access = access_of(load_settings(DeskSettings, Path("/nowhere")))
    assert (access.proxy, access.oidc) == (None, None)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://id.example.com/x", True),
        ("http://127.0.0.1:80/x", True),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("ftp://127.0.0.1", False),
        ("https://", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_https_is_safe_beyond_this_machine(url: str, safe: bool) -> None:  # noqa: FBT001
    """What leaves the machine in the clear may be anybody's."""
    assert is_safe(url) is safe


def test_networks_are_read_with_blanks() -> None:
    """As people write lists; an empty place is none."""
    assert [str(each) for each in networks_of("10.0.0.0/8, ::1 ,")] == ["10.0.0.0/8", "::1/128"]
