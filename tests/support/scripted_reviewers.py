"""Scripted reviewers: people who answer whatever is next over HTTP, whichever desk lives."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape

import httpx
from tests.support.desks import Browser

_JOB_ID = re.compile(r'<p class="quiet"><bdi>(.*?)</bdi>')


class Reviewer:
    """Somebody who answers whatever is next, in whatever way, until told to go.

    Args:
        name: To sign in with.
        url: Gives the desk's address of the moment.
        seed: Of the answers.
        labels: To choose from.
        task: Whose jobs, or blind checks, are answered.
    """

    def __init__(
        self,
        name: str,
        url: Callable[[], str],
        seed: int,
        labels: str = "abc",
        task: str = "topic",
    ) -> None:
        self._task = task
        self._name = name
        self._url = url
        self._random = random.Random(seed)
        self._labels = labels
        #: What was confirmed: the last answer to each job, by its id.
        self.confirmed: dict[str, str] = {}
        self.is_told = threading.Event()
        self.thread = threading.Thread(target=self._work, name=name)

    def _work(self) -> None:
        while not self.is_told.is_set():
            try:
                self._answer_all()
            except (httpx.TransportError, AssertionError):
                # The desk died, or showed an error page: begin anew.
                self.is_told.wait(0.1)

    def _answer_all(self) -> None:
        browser = Browser(self._url())
        try:
            browser.sign_in(self._name)
            while not self.is_told.is_set():
                browser.begin(self._task)
                if "/jobs/" not in browser.path:
                    self.is_told.wait(0.1)
                    continue
                job_id, label = job_of(browser), self._random.choice(self._labels)
                browser.answer(label=label)
                if "Answered." in browser.html:
                    self.confirmed[job_id] = label
        finally:
            browser.close()


def job_of(browser: Browser) -> str:
    """The id of the job on a page; of a blind check, which names none, its entry."""
    found = _JOB_ID.search(browser.html)
    return unescape(found[1]) if found else browser.path.rpartition("-bulk-")[2]


@contextmanager
def reviewers(
    url: Callable[[], str], seed: int, count: int = 3, task: str = "topic"
) -> Iterator[list[Reviewer]]:
    """Let people, `r0` and so on, answer as long as the block runs."""
    people = [Reviewer(f"r{n}", url, seed + n, task=task) for n in range(count)]
    for person in people:
        person.thread.start()
    try:
        yield people
    finally:
        for person in people:
            person.is_told.set()
        for person in people:
            person.thread.join()
