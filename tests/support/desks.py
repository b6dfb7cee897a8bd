"""A desk as a process, over HTTP: its users, its pages, what is sent from them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import httpx
from tests.support.waiting import wait_until

from smallfirst.local.redis_server import free_port
from smallfirst_desk.users import Role, Users, added, write_users

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of nobody
#: The one example of `topic`, by somebody who would run something in a reviewer's browser.
EXAMPLE = "<img src=x onerror='window.__ran = 1'> Where is my parcel?"
CATALOGUE = f"""
version: 1
tasks:
  topic:
    kind: classify
    description: What a customer's mail is about.
    labels: {{a: One., b: Two., c: Three.}}
    examples: [{{text: "{EXAMPLE}", label: b}}]
    cascade: [{{person: {{wait: 1h}}}}]
  tags:
    kind: multilabel
    description: All that a mail asks for.
    labels: {{refund: Wants money back., exchange: Wants another one., answer: Wants an answer.}}
    cascade: [{{person: {{wait: 1h}}}}]
  pii:
    kind: tag
    description: Personal data in a letter.
    labels: {{name: A name of a person., card: A card number., email: A mail address.}}
    cascade: [{{person: {{wait: 1h}}}}]
  invoice:
    kind: extract
    description: The fields of an invoice.
    fields:
      number: {{description: The invoice's number.}}
      total: {{type: number}}
      due: {{type: date, optional: true}}
      paid: {{type: boolean}}
    cascade: [{{person: {{wait: 1h}}}}]
  tampering:
    kind: judge
    question: Does the document contradict itself?
    cascade: [{{person: {{wait: 1h}}}}]
  reply:
    kind: generate
    description: A reply to a customer.
    cascade: [{{person: {{wait: 1h}}}}]
"""
ALL = ("topic", "tags", "pii", "invoice", "tampering", "reply")


def folder_for(
    folder: Path,
    users: Mapping[str, Sequence[str]] | None = None,
    *,
    catalogue: str = CATALOGUE,
    role: Role = Role.REVIEWER,
) -> Path:
    """Write a catalogue and the users, by name with the tasks that each sees."""
    (folder / "catalogue.yaml").write_text(catalogue, "utf-8")
    known = Users()
    for name, tasks in (users or {"ann": ALL, "ben": ALL}).items():
        known = added(known, name, PASSWORD, role=role, tasks=tasks)
    write_users(folder / "users.yaml", known)
    return folder


class RunningDesk:
    """A desk that runs.

    Args:
        process: The desk's own.
        url: Where it is found.
        log: What it says.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    def kill(self) -> None:
        """End it at once, in the midst of whatever it does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def browser(self, name: str, password: str = PASSWORD) -> "Browser":
        """A browser without a script, signed in."""
        browser = Browser(self.url)
        browser.sign_in(name, password)
        return browser


def start_desk(redis_url: str, folder: Path, **settings: object) -> RunningDesk:
    """Start a desk, on a free port unless told, and wait for it."""
    port = settings.get("desk_port") or free_port()
    log = folder / f"desk-{len(list(folder.glob('desk-*.log')))}.log"
    told = {
        "redis_url": redis_url,
        "catalogue": folder / "catalogue.yaml",
        "desk_users": folder / "users.yaml",
        "desk_port": port,
        "desk_secret": SECRET,
        "log_format": "json",
        **settings,
    }
    ours = {f"SMALLFIRST_{name.upper()}": str(value) for name, value in told.items()}
    others = {n: value for n, value in os.environ.items() if not n.startswith("SMALLFIRST_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "smallfirst_desk"],
            env={**others, **ours},
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, log.read_text("utf-8")
        try:
            return httpx.get(f"{url}/healthz", timeout=1).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    wait_until(answers, description="the desk answers", timeout=30)
    return RunningDesk(process, url, log)


@contextmanager
def running_desk(redis_url: str, folder: Path, **settings: object) -> Iterator[RunningDesk]:
    """Run a desk as long as the block does."""
    desk = start_desk(redis_url, folder, **settings)
    try:
        yield desk
    finally:
        if desk.process.poll() is None:
            desk.process.terminate()
        desk.process.wait(20)


class Browser:
    """What a browser does that runs no script: it keeps cookies, and sends forms as they stand."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, follow_redirects=True, timeout=20)
        self.page: httpx.Response

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    @property
    def path(self) -> str:
        """Where it is."""
        return self.page.url.path

    @property
    def html(self) -> str:
        """What it shows."""
        return self.page.text

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        self.page = self._http.get(path)
        return self.page

    def hidden(self, name: str) -> str:
        """A field that the page has added to its forms."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page.text)
        assert found is not None, f"no field {name} in {self.path}"
        return unescape(found[1])

    def post(
        self, path: str, data: Mapping[str, object] | None = None, *, view: bool = False
    ) -> httpx.Response:
        """Send a form of the page."""
        tokens = {"csrf": self.hidden("csrf")} | ({"view": self.hidden("view")} if view else {})
        self.page = self._http.post(path, data={**tokens, **(data or {})})
        return self.page

    def post_raw(self, path: str, data: Mapping[str, object], **more: object) -> httpx.Response:
        """Send a form that is no page's."""
        return self._http.post(path, data=data, **more)  # type: ignore[arg-type]

    def sign_in(self, name: str, password: str = PASSWORD) -> None:
        """Sign in."""
        self.get("/sign-in")
        self.post("/sign-in", {"name": name, "password": password})

    def begin(self, task: str = "topic") -> None:
        """Take the next job of a task."""
        self.get(f"/tasks/{task}")
        self.post(f"/tasks/{task}/next")

    def answer(self, **fields: object) -> httpx.Response:
        """Answer the job on the page."""
        return self.post(f"{self.path}/answer", fields, view=True)
