"""Who may sign in at the desk, and how that is written down."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.desks import PASSWORD, SECRET, folder_for

from smallfirst_desk.add_user import main
from smallfirst_desk.errors import UsersFileError
from smallfirst_desk.sessions import LastDecision, Signer, View, key_of
from smallfirst_desk.users import Role, UsersFile, read_users


def test_a_password_is_kept_as_a_hash_alone(tmp_path: Path) -> None:
    """Which only its owner may read, and which only that password fits."""
    path = folder_for(tmp_path, {"ann": ["topic"]}) / "users.yaml"
    assert PASSWORD not in path.read_text("utf-8")
    assert path.stat().st_mode & 0o077 == 0
    users = UsersFile(path)
    assert users.signed_in("ann", PASSWORD) is users.current["ann"]
    assert users.signed_in("ann", PASSWORD + "x") is None
    assert users.signed_in("nobody", PASSWORD) is None
    assert users.signed_in("ann", "x" * 2000) is None


def test_a_user_sees_the_tasks_that_are_theirs_and_an_admin_all(tmp_path: Path) -> None:
    """Whoever may not see a task is told of none such."""
    reviewer = read_users(folder_for(tmp_path, {"ann": ["topic"]}) / "users.yaml").users["ann"]
    admin = reviewer.model_copy(update={"role": Role.ADMIN, "tasks": ()})
    assert reviewer.sees_of(["topic", "pii"]) == ["topic"]
    assert admin.sees_of(["topic", "pii"]) == ["topic", "pii"]


def test_a_file_that_changes_is_taken_up_and_a_broken_one_is_not(tmp_path: Path) -> None:
    """Nobody is locked out by a slip of the pen."""
    path = folder_for(tmp_path, {"ann": []}) / "users.yaml"
    users = UsersFile(path)
    folder_for(tmp_path, {"ann": [], "ben": []})
    assert set(users.current) == {"ann", "ben"}
    path.write_text("users: [", "utf-8")
    assert set(users.current) == {"ann", "ben"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("users: [", "neither YAML nor JSON at line 1"),
        ("- ann", "must be an object"),
        ("users: {ann: {password: secret, pseudonym: r-1}}", "users.ann.password: must match"),
        ("user: {}", "unknown key 'user', did you mean 'users'"),
        ("\xff", "users.yaml"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, content: str, reason: str) -> None:
    """No value of it is quoted."""
    path = tmp_path / "users.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsersFileError, match=reason) as caught:
        read_users(path)
    assert "secret" not in str(caught.value)


def test_two_users_have_two_pseudonyms(tmp_path: Path) -> None:
    """Else nobody could tell whose answers are whose."""
    path = folder_for(tmp_path, {"ann": [], "ben": []}) / "users.json"
    users = read_users(tmp_path / "users.yaml").model_dump(mode="json")
    users["users"]["ben"]["pseudonym"] = users["users"]["ann"]["pseudonym"]
    path.write_text(json.dumps(users), "utf-8")
    with pytest.raises(UsersFileError, match="two users have the pseudonym"):
        read_users(path)


def test_a_person_keeps_the_pseudonym_through_a_new_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command reads the password from its input, never from an argument."""
    path = tmp_path / "users.yaml"
    found = []
    for number in range(2):
        (tmp_path / "in").write_text(f"a long password {number}\n")
        with (tmp_path / "in").open() as given:
            monkeypatch.setattr("sys.stdin", given)
            assert main(["ann", "--users", str(path), "--task", "topic"]) == 0
        found.append(read_users(path).users["ann"])
    first, second = found
    assert second.pseudonym == first.pseudonym
    assert key_of(second) != key_of(first)


def test_a_short_password_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no file is written."""
    (tmp_path / "in").write_text("short\n")
    with (tmp_path / "in").open() as given:
        monkeypatch.setattr("sys.stdin", given)
        assert main(["ann", "--users", str(tmp_path / "users.yaml")]) == 1
    assert not (tmp_path / "users.yaml").exists()


def test_what_a_browser_keeps_is_only_believed_as_it_was_signed(tmp_path: Path) -> None:
    """By this key, for this use; a form's token is its session's alone."""
    user = read_users(folder_for(tmp_path, {"ann": []}) / "users.yaml").users["ann"]
    signer, other = (Signer(secret, timedelta(hours=1)) for secret in (SECRET, SECRET[::-1]))
    session = signer.begun("ann", user)
    cookie = signer.write_session(session)
    assert signer.session(cookie) == session
    assert other.session(cookie).name == signer.session(cookie[:-1]).name == ""
    view = View("r-1", "topic", "0-bulk-1-0", 1, 2)
    assert signer.view(signer.write_view(view)) == view
    assert signer.view(cookie) is None
    last = LastDecision("topic", "0-bulk-1-0", 3)
    assert signer.last(signer.write_last(last)) == last
    assert signer.last(signer.write_view(view)) is None
    assert signer.is_csrf(session, signer.csrf(session))
    assert not signer.is_csrf(signer.begun("ann", user), signer.csrf(session))
    assert not signer.is_csrf(session, "\u00e9")
