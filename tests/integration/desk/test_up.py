"""`smallfirst up` where a task asks a person: a desk is there, and its answer reaches a client."""

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.desks import Browser

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Tier
from smallfirst.local import LocalFleet
from smallfirst.local.errors import NotReadyError

pytestmark = pytest.mark.timeout(120)

CATALOGUE = """
version: 1
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{person: {wait: 1h}}]
  ids:
    kind: tag
    labels: {card: a card}
    cascade: [{rule: {find: [card]}, accept: always}]
"""


def test_whoever_runs_a_fleet_answers_at_its_desk(tmp_path: Path) -> None:
    """As `me`, whose password was made at the first start; at the next it is the same."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    with LocalFleet(path, tmp_path / "fleet", flower=False) as fleet:
        fleet.wait_ready(timedelta(seconds=60))
        assert fleet.addresses is not None
        assert fleet.desk_account is not None
        password = fleet.desk_account.password
        assert password is not None
        with Client(fleet.redis_url) as client:
            client.submit(Job(id="a1", task="topic", text="a letter"))
            browser = Browser(fleet.addresses.desk_url or "")
            browser.sign_in("me", password)
            while "/jobs/" not in browser.path:
                browser.begin()
            browser.answer(label="b")
            result = client.result("a1", timeout=30)
            browser.close()
    assert isinstance(result.answer, LabelAnswer)
    assert (result.answer.label, result.tier) == ("b", Tier.HUMAN)
    with LocalFleet(path, tmp_path / "fleet", flower=False) as again:
        again.wait_ready(timedelta(seconds=60))
        assert again.desk_account is not None
        assert again.desk_account.password is None
        assert again.addresses is not None
        browser = Browser(again.addresses.desk_url or "")
        browser.sign_in("me", password)
        assert browser.path == "/"
        browser.close()


def test_a_fleet_is_ready_once_its_desk_answers(tmp_path: Path) -> None:
    """However long the desk takes to come up: who is told its address can open it."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    with LocalFleet(path, tmp_path / "fleet", flower=False) as fleet:
        desk = fleet.children()["desk"].pid
        os.kill(desk, signal.SIGSTOP)
        with pytest.raises(NotReadyError) as caught:
            fleet.wait_ready(timedelta(seconds=8))
        assert caught.value.missing == ("desk 0/1",)
        os.kill(desk, signal.SIGCONT)
        fleet.wait_ready(timedelta(seconds=60))


def test_a_fleet_that_asks_no_person_has_no_desk(tmp_path: Path) -> None:
    """Nothing is started that nobody needs."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(
        CATALOGUE.replace(
            "[{person: {wait: 1h}}]", "[{rule: {patterns: [{label: a, pattern: x}]}}]"
        )
    )
    with LocalFleet(path, tmp_path / "fleet", flower=False) as fleet:
        assert fleet.addresses is not None
        assert fleet.addresses.desk_url is None
        assert "desk" not in fleet.children()
