"""Who may sign in at the desk of a local fleet: whoever runs it, with a password made here."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Final

#: Whose the first account is.
NAME: Final = "me"


@dataclass(frozen=True)
class DeskAccount:
    """What a desk is told, and who runs it.

    Attributes:
        users: The file of users.
        secret: The file of the key by which sessions are signed.
        name: Of the first user, who sees every task.
        password: Where the user was just made; it is kept nowhere.
    """

    users: Path
    secret: Path
    name: str = NAME
    password: str | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The settings of the desk."""
        return {
            "SMALLFIRST_DESK_USERS": str(self.users),
            "SMALLFIRST_DESK_SECRET": self.secret.read_text("utf-8").strip(),
        }


def desk_account(folder: Path) -> DeskAccount:
    """Find a local desk's users and key, or make them; only this user of the machine reads them."""
    users, secret = folder / "desk-users.yaml", folder / "desk-secret"
    if not secret.is_file():
        secret.touch(mode=0o600)
        secret.write_text(token_hex(32), "utf-8")
    if users.is_file():
        return DeskAccount(users, secret)
    password = token_urlsafe(12)
    command = [sys.executable, "-m", "smallfirst_desk.add_user", NAME, "--users", str(users)]
    subprocess.run(  # noqa: S603 - ours; the password is no argument, which others could read
        [*command, "--role", "admin"],
        input=f"{password}\n",
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    return DeskAccount(users, secret, password=password)
