"""Signing in without a password: a proxy that is trusted, and a provider of OpenID Connect."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.support.desks import Browser, RunningDesk, folder_for, running_desk
from tests.support.oidc_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    RunningProvider,
    running_provider,
)

from smallfirst.local.redis_server import RedisServer, free_port
from smallfirst_desk.users import Role, added, read_users, write_users

HEADER = "X-Forwarded-User"


def access_folder(folder: Path) -> Path:
    """A catalogue; ann with a password, cara and dora without: dora is known by another name."""
    folder_for(folder, {"ann": ["topic"]})
    users = read_users(folder / "users.yaml")
    for name, known in (("cara", None), ("dora", "d.o@example.com")):
        users = added(users, name, None, role=Role.REVIEWER, tasks=["topic"], known_as=known)
    write_users(folder / "users.yaml", users)
    return folder


@pytest.fixture(scope="module")
def proxied(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDesk]:
    """A desk behind a proxy on this machine."""
    folder = access_folder(tmp_path_factory.mktemp("desk"))
    told = {"desk_proxy_header": HEADER, "desk_proxy_from": "10.0.0.0/8, 127.0.0.1"}
    with running_desk(redis_server.url, folder, **told) as desk:
        yield desk


@pytest.fixture(scope="module")
def provider() -> Iterator[RunningProvider]:
    """A provider of OpenID Connect."""
    with running_provider() as provider:
        yield provider


def oidc_settings(folder: Path, provider: RunningProvider) -> dict[str, object]:
    """What a desk is told of a provider."""
    (folder / "client-secret").write_text(f"{CLIENT_SECRET}\n", "utf-8")
    port = free_port()
    return {
        "desk_port": port,
        "desk_url": f"http://127.0.0.1:{port}",
        "desk_oidc_issuer": provider.issuer,
        "desk_oidc_client_id": CLIENT_ID,
        "desk_oidc_secret_file": folder / "client-secret",
    }


@pytest.fixture(scope="module")
def oidc_desk(
    redis_server: RedisServer,
    provider: RunningProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningDesk]:
    """A desk whose people sign in there."""
    folder = access_folder(tmp_path_factory.mktemp("desk"))
    settings = oidc_settings(folder, provider)
    with running_desk(redis_server.url, folder, **settings) as desk:
        yield desk


@pytest.fixture
def browser(oidc_desk: RunningDesk, redis_url: str) -> Iterator[Browser]:  # noqa: ARG001 - emptied
    """Nobody yet, at that desk."""
    browser = Browser(oidc_desk.url)
    yield browser
    browser.close()


def through(desk: RunningDesk, *people: str, header: str = HEADER) -> httpx.Client:
    """A browser behind a proxy that says who it is."""
    headers = [(header, person) for person in people]
    return httpx.Client(base_url=desk.url, headers=headers, follow_redirects=True, timeout=20)


# A trusted proxy


@pytest.mark.parametrize(("person", "name"), [("cara", "cara"), ("d.o@example.com", "dora")])
def test_the_proxy_says_who_asks(proxied: RunningDesk, person: str, name: str) -> None:
    """By the name, or by what the file says the person is known as; without a sign-in page."""
    with through(proxied, person) as browser:
        page = browser.get("/tasks/topic")
        assert page.url.path == "/tasks/topic"
        assert f">{name}<" in page.text
        assert "Sign out" not in page.text


def test_forms_work_behind_the_proxy(proxied: RunningDesk) -> None:
    """The session that the first page began is that of the form's token."""
    with through(proxied, "cara") as http:
        browser = Browser(proxied.url)
        browser._http.headers[HEADER] = "cara"
        browser.begin()
        assert browser.page.status_code == 200
        assert "Nothing waits here" in browser.html
        browser.close()
        # A form without a token of this session is another site's.
        assert http.post("/tasks/topic/next", data={}).status_code == 403


@pytest.mark.parametrize("people", [("nobody",), ("dora",), ("",), ("cara", "ann"), ("x" * 300,)])
def test_whom_no_file_names_is_not_let_in(proxied: RunningDesk, people: tuple[str, ...]) -> None:
    """A stranger; the name of somebody who is known as another; two names at once."""
    with through(proxied, *people) as browser:
        assert browser.get("/tasks/topic").url.path == "/sign-in"


def test_the_proxys_word_stands_above_a_cookie(proxied: RunningDesk) -> None:
    """Another person at the same browser is that person, and a cookie alone is nobody."""
    with through(proxied, "cara") as browser:
        assert ">cara<" in browser.get("/").text
        browser.headers[HEADER] = "d.o@example.com"
        page = browser.get("/").text
        assert ">dora<" in page
        assert ">cara<" not in page
        del browser.headers[HEADER]
        assert browser.get("/").url.path == "/sign-in"


def test_from_elsewhere_the_header_is_nothing(redis_url: str, tmp_path: Path) -> None:
    """A request that comes around the proxy is as if it said nothing."""
    told = {"desk_proxy_header": HEADER, "desk_proxy_from": "10.0.0.0/8"}
    with (
        running_desk(redis_url, access_folder(tmp_path), **told) as desk,
        through(desk, "cara") as browser,
    ):
        assert browser.get("/").url.path == "/sign-in"
        # Who has a password signs in all the same, and is nobody else for a header.
        ann = desk.browser("ann")
        assert ">ann<" in ann.get("/").text
        ann.close()


def test_nobody_signs_in_with_no_password(proxied: RunningDesk) -> None:
    """A user without one is let in by no password, and least of all by none."""
    for password in ("", "None", "cara"):
        browser = Browser(proxied.url)
        browser.sign_in("cara", password)
        assert browser.page.status_code == 401
        browser.close()


# A provider of OpenID Connect


@pytest.mark.parametrize(("person", "name"), [("cara", "cara"), ("d.o@example.com", "dora")])
def test_people_sign_in_there_and_out_again(
    provider: RunningProvider, browser: Browser, person: str, name: str
) -> None:
    """A link leads there, and back as the person; signed out, they may sign out there too."""
    provider.tell(sub=person)
    browser.get("/")
    assert 'href="/sign-in/oidc"' in browser.html
    browser.get("/sign-in/oidc")
    assert browser.path == "/"
    assert f">{name}<" in browser.html
    browser.begin()
    assert browser.page.status_code == 200
    browser.post("/sign-out")
    assert "You are signed out." in browser.html
    assert f"{provider.issuer}/sign-out?client_id={CLIENT_ID}" in browser.html
    assert browser.get("/tasks/topic").url.path == "/sign-in"


LIES = (
    "nonce",
    "audience",
    "two audiences",
    "issuer in the token",
    "expired",
    "of the future",
    "shared secret",
    "foreign key",
    "unsigned",
    "denied",
    "another state",
)


@pytest.mark.parametrize("fault", LIES)
def test_a_token_that_is_not_good_lets_nobody_in(
    provider: RunningProvider, browser: Browser, fault: str
) -> None:
    """Each check is made: of the try, of the one it is for and from, of its time, of its key."""
    provider.tell(fault, sub="cara")
    browser.get("/sign-in/oidc")
    assert browser.path == "/sign-in"
    assert "You could not be signed in there." in browser.html
    provider.tell(sub="cara")
    browser.get("/sign-in/oidc")
    assert ">cara<" in browser.html


@pytest.mark.parametrize("claims", [{"sub": "nobody"}, {"sub": ["cara"]}, {}, {"sub": ""}])
def test_a_stranger_is_not_let_in(
    provider: RunningProvider, browser: Browser, claims: dict[str, Any]
) -> None:
    """Whom the provider knows and the file does not, or whom no claim names."""
    provider.tell(**claims)
    browser.get("/sign-in/oidc")
    assert browser.path == "/sign-in"


def test_new_keys_of_the_provider_are_taken_up(redis_url: str, tmp_path: Path) -> None:
    """A token by a key that the desk has not seen makes it look once more."""
    with running_provider() as provider:
        settings = oidc_settings(access_folder(tmp_path), provider)
        with running_desk(redis_url, tmp_path, **settings) as desk:
            for fault in ("", "new keys"):
                browser = Browser(desk.url)
                provider.tell(fault, sub="cara")
                browser.get("/sign-in/oidc")
                assert ">cara<" in browser.html
                browser.close()


def test_anothers_way_back_signs_nobody_in(
    provider: RunningProvider, oidc_desk: RunningDesk, browser: Browser
) -> None:
    """A stranger's code and state, sent as a link to somebody, make that person no stranger."""
    provider.tell(sub="cara")
    with httpx.Client(base_url=oidc_desk.url, timeout=20) as stranger:
        there = stranger.get("/sign-in/oidc").headers["location"]
        back = httpx.get(there, timeout=20).headers["location"]
    browser.get(back)
    assert browser.path == "/sign-in"


def test_a_code_is_good_once(provider: RunningProvider, oidc_desk: RunningDesk) -> None:
    """The same way back, taken a second time, signs nobody in."""
    provider.tell(sub="cara")
    with httpx.Client(base_url=oidc_desk.url, timeout=20) as http:
        there = http.get("/sign-in/oidc").headers["location"]
        asked = httpx.URL(there).params
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["state"]) >= 24
        assert len(asked["nonce"]) >= 24
        kept = {name: value for name, value in http.cookies.items() if name == "desk_try"}
        back = httpx.get(there, timeout=20).headers["location"]
        assert http.get(back).headers["location"] == "/"
    with httpx.Client(base_url=oidc_desk.url, cookies=kept, timeout=20) as again:
        assert "not-signed-in" in again.get(back).headers["location"]


def test_an_address_counts_only_if_it_is_verified(
    provider: RunningProvider, redis_url: str, tmp_path: Path
) -> None:
    """Else anybody could give another's address at a provider that does not look."""
    settings = oidc_settings(access_folder(tmp_path), provider) | {"desk_oidc_claim": "email"}
    with running_desk(redis_url, tmp_path, **settings):
        for verified in (None, False, "true", True):
            browser = Browser(str(settings["desk_url"]))
            provider.tell(sub="1", email="d.o@example.com", email_verified=verified)
            browser.get("/sign-in/oidc")
            assert (">dora<" in browser.html) is (verified is True)
            browser.close()


def test_who_is_taken_out_of_the_file_is_signed_out(
    provider: RunningProvider, redis_url: str, tmp_path: Path
) -> None:
    """At once, and so is who is known as another since."""
    settings = oidc_settings(access_folder(tmp_path), provider)
    with running_desk(redis_url, tmp_path, **settings):
        browser = Browser(str(settings["desk_url"]))
        provider.tell(sub="cara")
        browser.get("/sign-in/oidc")
        assert ">cara<" in browser.html
        path = tmp_path / "users.yaml"
        users = yaml.safe_load(path.read_text("utf-8"))
        users["users"]["cara"]["known_as"] = "somebody-else"
        path.write_text(yaml.safe_dump(users), "utf-8")
        assert browser.get("/").url.path == "/sign-in"
        browser.close()


def test_a_provider_that_is_away_is_told_so(redis_url: str, tmp_path: Path) -> None:
    """In words, and the desk goes on; who has a password signs in as ever."""
    with running_provider() as provider:
        settings = oidc_settings(access_folder(tmp_path), provider)
        provider.kill()
        with running_desk(redis_url, tmp_path, **settings):
            browser = Browser(str(settings["desk_url"]))
            browser.get("/sign-in/oidc")
            assert "cannot be reached" in browser.html
            browser.sign_in("ann")
            assert ">ann<" in browser.html
            browser.close()


def test_no_log_line_holds_a_token_or_a_name(
    provider: RunningProvider, oidc_desk: RunningDesk, browser: Browser
) -> None:
    """Who signed in is told by the pseudonym, and who could not by a reason."""
    provider.tell(sub="d.o@example.com")
    browser.get("/sign-in/oidc")
    provider.tell("expired", sub="d.o@example.com")
    browser.get("/sign-in/oidc")
    lines = [json.loads(line) for line in oidc_desk.log.read_text("utf-8").splitlines()]
    said = [line for line in lines if line["event"].startswith("desk.sign")]
    assert {"desk.signed_in", "desk.sign_in_failed"} <= {line["event"] for line in said}
    text = oidc_desk.log.read_text("utf-8")
    assert "d.o@example" not in text
    assert "eyJ" not in text
    assert CLIENT_SECRET not in text
