"""Chromium, driven by its keys, at a desk that runs."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Dialog, Page, sync_playwright
from tests.support.desks import PASSWORD

#: What is looked with: Debian's own, or whichever else is there.
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium. In a container it has no sandbox of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Screen:
    """One person's window.

    Args:
        browser: Started.
        url: Of the desk.
        options: Of the window: its size, its colours, whether it runs scripts.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self._context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self._url = url
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(15_000)
        #: What the page complained of: scripts that the policy stopped, errors of its own script.
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._note_dialog)

    def _note_dialog(self, dialog: Dialog) -> None:
        self.complaints.append("a dialog")
        dialog.dismiss()

    def close(self) -> None:
        """Close the window."""
        self._context.close()

    def another_tab(self) -> Page:
        """A second tab of the same person."""
        return self._context.new_page()

    def open(self, path: str) -> None:
        """Go to an address, and wait until keys are heard."""
        self.page.goto(f"{self._url}{path}")
        self.is_ready()

    def is_ready(self) -> None:
        """Wait until the page hears keys."""
        self.page.wait_for_selector("body[data-ready]")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def press_and_go(self, *keys: str) -> None:
        """Press keys, the last of which leads to another page."""
        self.press(*keys[:-1])
        with self.page.expect_navigation():
            self.press(keys[-1])
        self.is_ready()

    def sign_in(self, name: str) -> None:
        """Sign in by keys alone."""
        self.open("/sign-in")
        self.page.keyboard.type(name)
        self.press("Tab")
        self.page.keyboard.type(PASSWORD)
        with self.page.expect_navigation():
            self.press("Enter")
        self.is_ready()

    def begin(self, task: str) -> None:
        """Take the next job of a task by a key."""
        self.open(f"/tasks/{task}")
        self.press_and_go("Enter")

    @property
    def path(self) -> str:
        """Where it is."""
        return self.page.url.removeprefix(self._url).partition("?")[0]

    def says(self, words: str) -> bool:
        """Whether the page shows some words."""
        return self.page.get_by_text(words).first.is_visible()
