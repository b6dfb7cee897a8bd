"""What a shadow writes into the live catalogue, and what a promotion from it does; no fleet."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.errors import CatalogueError
from smallfirst.gate.errors import CandidateError
from smallfirst.gate.learned import is_promised_by_machines
from smallfirst.gate.paired import p_value
from smallfirst.gate.promoting import promote
from smallfirst.gate.shadows import (
    evenly_judged,
    judge_shadow,
    pairs_in,
    promote_shadow,
    start_shadow,
    stop_shadow,
)
from smallfirst.gate.verdict import Margin
from smallfirst.gate.versions import Versions
from smallfirst.provenance.card import Part, write_card
from smallfirst.provenance.record import Provenance, Source
from smallfirst.shadow.reporting import ShadowReport

LIVE = """
version: 1
# A comment that stays.
pools:
  far: {tier: llm, remote: true}
models:
  large: {tier: llm, source: a, endpoint: "http://127.0.0.1:9/v1", parameters: 8B}
tasks:
  topic:
    kind: classify
    labels: {billing: money, delivery: parcels}
    cascade:
      - {model: large, accept: 0.5}
      - {person: {wait: 2h}}
    audit: {share: 0.1}
  other:
    kind: tag
    labels: {email: an e-mail address}
    cascade: [{rule: {find: [email]}, accept: always}]
"""
CANDIDATE = """
version: 1
pools:
  far: {tier: llm, remote: true}
models:
  small: {tier: llm, source: b, endpoint: "http://127.0.0.1:9/v1", parameters: 1B}
tasks:
  topic:
    kind: classify
    labels: {billing: money, delivery: parcels}
    examples: rows.jsonl
    cascade:
      - {model: small, accept: 0.7}
      - {person: {wait: 1h}}
"""
ROWS = '{"text": "an invoice", "label": "billing"}\n{"text": "a parcel", "label": "delivery"}\n'


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A live catalogue, and a candidate in a folder beside it."""
    (tmp_path / "candidate").mkdir()
    (tmp_path / "candidate" / "catalogue.yaml").write_text(CANDIDATE)
    (tmp_path / "candidate" / "rows.jsonl").write_text(ROWS)
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "catalogue.yaml"
    path.write_text(LIVE)
    return path


def start(live: Path, share: float = 0.1) -> str:
    """Let the candidate run in shadow."""
    other = live.parent.parent / "candidate" / "catalogue.yaml"
    return start_shadow("topic", live, other, load_catalogue(other).without_people(), share)


def another(live: Path, model: str = "tiny") -> None:
    """Let the candidate be another one, which asks another model."""
    other = live.parent.parent / "candidate" / "catalogue.yaml"
    other.write_text(CANDIDATE.replace("small", model))


def promote_from_files(live: Path) -> int:
    """Put the candidate in the task's place, though it ran in no shadow."""
    other = live.parent.parent / "candidate" / "catalogue.yaml"
    return promote("topic", live, other, load_catalogue(other))


def read(live: Path) -> Any:
    """A catalogue as YAML has it."""
    return yaml.safe_load(live.read_text())


def files(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


def test_a_candidate_stands_beside_its_task(live: Path) -> None:
    """With its examples and models, and without the person that its cascade asks."""
    before = read(live)
    assert start(live) == "topic-candidate"
    found, after = load_catalogue(live), read(live)
    candidate = found.tasks["topic-candidate"]
    assert candidate.shadow is not None
    assert (candidate.shadow.of, candidate.shadow.share) == ("topic", 0.1)
    assert (len(candidate.cascade), len(candidate.examples)) == (1, 2)
    assert {name: after["tasks"][name] for name in ("topic", "other")} == before["tasks"]
    assert "# A comment that stays." in live.read_text()


def test_what_was_started_is_stopped_without_a_trace(live: Path) -> None:
    """But for the note that it ran: its entry, models, examples and promise are gone."""
    before = read(live)
    start(live)
    assert stop_shadow("topic", live) == "topic-candidate"
    assert read(live) == before
    assert files(live.parent) == {"catalogue.yaml", "versions/topic/shadows.jsonl"}
    with pytest.raises(CandidateError, match="no candidate runs in shadow of it"):
        stop_shadow("topic", live)


def test_started_again_it_replaces_the_one_before(live: Path) -> None:
    """With another share, say."""
    start(live)
    start(live, share=0.2)
    task = load_catalogue(live).tasks["topic-candidate"]
    assert task.shadow is not None
    assert task.shadow.share == 0.2


def test_a_live_task_of_the_candidate_s_name_is_left_alone(live: Path) -> None:
    """Its entry, its examples and its promise are the team's; nor does `stop` delete it."""
    entry = "  topic-candidate:\n    kind: tag\n    labels: {email: an e-mail address}\n"
    live.write_text(f"{LIVE}{entry}    cascade: [{{rule: {{find: [email]}}, accept: always}}]\n")
    before = live.read_text()
    with pytest.raises(CandidateError, match=r"tasks\.topic-candidate: is a task of its own"):
        start(live)
    with pytest.raises(CandidateError, match="no candidate runs in shadow of it"):
        stop_shadow("topic", live)
    assert (live.read_text(), files(live.parent)) == (before, {"catalogue.yaml"})


def test_another_task_s_candidate_is_left_alone(live: Path) -> None:
    """Whatever a team has called it."""
    start(live)
    live.write_text(
        live.read_text()
        .replace("  topic:", "  mail:")
        .replace("of: topic", "of: mail")
        .replace("  other:", "  topic:")
    )
    with pytest.raises(CandidateError, match="which runs in shadow of 'mail'"):
        start(live)


def test_models_of_a_candidate_that_another_replaced_are_gone(live: Path) -> None:
    """At once, since a fleet would go on to load them; nothing is left once it is stopped."""
    before = read(live)
    start(live)
    another(live)
    start(live)
    assert read(live)["models"].keys() == {"large", "tiny"}
    stop_shadow("topic", live)
    assert read(live) == before


def test_a_model_that_another_task_s_candidate_asks_stays_until_nobody_does(live: Path) -> None:
    """Whichever of the two it came with."""
    start(live)
    text = live.read_text()
    live.write_text(
        text.replace(
            "  other:",
            "  mail:\n    kind: classify\n    labels: {a: one, b: two}\n"
            "    cascade: [{model: large, accept: 0.5}]\n"
            "  mail-candidate:\n    kind: classify\n    labels: {a: one, b: two}\n"
            "    shadow: {of: mail}\n"
            "    cascade: [{model: small, accept: 0.5}]\n  other:",
        )
    )
    stop_shadow("topic", live)
    assert read(live)["models"].keys() == {"large", "small"}
    stop_shadow("mail", live)
    assert read(live)["models"].keys() == {"large"}


def test_a_model_that_a_version_names_stays_so_that_it_can_come_back(live: Path) -> None:
    """One that was promoted from the shadow, then replaced, then tried in shadow again."""
    start(live)
    assert promote_shadow("topic", live) == 1
    promoted = read(live)["tasks"]
    another(live)
    assert promote_from_files(live) == 2
    (live.parent.parent / "candidate" / "catalogue.yaml").write_text(CANDIDATE)
    start(live)
    stop_shadow("topic", live)
    assert Versions(live, "topic").bring_back() == 2
    assert load_catalogue(live).tasks["topic"].asks == ("small",)
    assert read(live)["tasks"] == promoted


def test_nothing_is_written_of_one_that_cannot_run(live: Path) -> None:
    """The catalogue's own rules refuse it."""
    other = live.parent.parent / "candidate" / "catalogue.yaml"
    other.write_text(CANDIDATE.replace("    examples", "    max_chars: 5\n    examples"))
    before = live.read_text()
    with pytest.raises(CatalogueError, match="takes texts of 200,000 characters"):
        start(live)
    assert (live.read_text(), files(live.parent)) == (before, {"catalogue.yaml"})


def test_a_model_that_fits_no_pool_is_refused_and_not_left_behind(live: Path) -> None:
    """The fleet would leave the candidate out; a folder that was copied is gone again."""
    other = live.parent.parent / "candidate" / "catalogue.yaml"
    (other.parent / "words").mkdir()
    (other.parent / "words" / "model.json").write_text("{}")
    with_folder = "models:\n  words: {source: ./words, parameters: 1M}\n"
    text = CANDIDATE.replace("models:\n", with_folder)
    other.write_text(
        text.replace("    cascade:\n", "    cascade:\n      - {model: words, accept: 0.9}\n")
    )
    with pytest.raises(CatalogueError, match=r"models\.words: there is no slm pool to run it"):
        start(live)
    assert files(live.parent) == {"catalogue.yaml"}


def test_a_name_that_is_too_long_is_refused(live: Path) -> None:
    """A candidate is called after its task, and a name has 64 characters."""
    name = "t" * 60
    for path in (live, live.parent.parent / "candidate" / "catalogue.yaml"):
        path.write_text(path.read_text().replace("  topic:", f"  {name}:"))
    other = live.parent.parent / "candidate" / "catalogue.yaml"
    with pytest.raises(CatalogueError, match="-candidate"):
        start_shadow(name, live, other, load_catalogue(other).without_people(), 0.1)


def test_from_the_shadow_it_takes_the_place(live: Path) -> None:
    """The task keeps its audit and its person; the candidate's entry is gone; and back again."""
    before = read(live)
    start(live)
    assert promote_shadow("topic", live) == 1
    found, after = load_catalogue(live), read(live)
    task = found.tasks["topic"]
    assert found.candidate_of("topic") is None
    assert (after["tasks"].keys(), task.shadow) == (before["tasks"].keys(), None)
    assert [step["model"] for step in after["tasks"]["topic"]["cascade"][:-1]] == ["small"]
    assert after["tasks"]["topic"]["cascade"][-1] == {"person": {"wait": "2h"}}
    assert (task.audit is not None, len(task.examples)) == (True, 2)
    assert "examples/topic-candidate.jsonl" not in files(live.parent)
    Versions(live, "topic").bring_back()
    assert read(live)["tasks"] == before["tasks"]


def test_the_card_of_what_it_learned_goes_along(live: Path) -> None:
    """Into the shadow, from there to the task, and away when it is brought back."""
    cards = live.parent / "fitted"
    used = {"k": (Provenance(source=Source.LLM, tier="llm", model="large"),)}
    (live.parent.parent / "candidate" / "fitted").mkdir()
    card = live.parent.parent / "candidate" / "fitted" / "topic.provenance.jsonl"
    write_card(card, {Part.PROMISING: ["k"]}, used)
    start(live)
    assert is_promised_by_machines("topic-candidate", live)
    promote_shadow("topic", live)
    assert [each.name for each in cards.iterdir()] == ["topic.provenance.jsonl"]
    assert (cards / "topic.provenance.jsonl").read_text() == card.read_text()
    Versions(live, "topic").bring_back()
    assert list(cards.iterdir()) == []


def report_of(texts: int | None = None, **cells: float) -> ShadowReport:
    """What people said of a candidate: `right_wrong=2`, `drawn_answered=9`; of so many texts."""
    kinds = {"drawn": "to_judge"}
    counts = {}
    for name, number in cells.items():
        head, _, tail = name.partition("_")
        is_drawn = head in kinds
        counts[f"to_judge:{tail}" if is_drawn else f"judged:{head}:{tail}"] = number
    said = [name.removeprefix("judged:") for name in counts if name.startswith("judged:")]
    each = {f"{cell}-{n}": cell for cell in said for n in range(int(counts[f"judged:{cell}"]))}
    return ShadowReport("topic", "topic-candidate", 0.1, counts, dict(list(each.items())[:texts]))


def test_what_people_said_is_the_exact_tests_rows() -> None:
    """Where a person answered, the live cascade is not right; where nothing stands, nothing is."""
    checked = {"right_right": 90, "right_none": 3, "right_wrong": 1, "wrong_right": 5}
    asked = {"none_right": 4, "none_none": 6}
    drawn = {"drawn_answered": 101, "drawn_person": 10}
    jobs, texts = evenly_judged(report_of(**checked, wrong_wrong=2, **asked, **drawn))
    assert jobs == texts
    pairs = pairs_in(jobs)
    assert (pairs.rows, pairs.lost, pairs.won) == (111, 4, 9)
    assert (jobs.standing, jobs.wrong) == (102, 3)


def test_both_kinds_of_jobs_are_judged_to_the_same_share(live: Path) -> None:
    """Who is given a job answers it; of the checks a tenth is done: they weigh as they came."""
    start(live)
    asked = {"none_right": 120, "none_none": 180, "drawn_person": 300}
    early = report_of(right_right=56, right_wrong=14, drawn_answered=700, **asked)
    pairs = pairs_in(evenly_judged(early)[0])
    assert (pairs.rows, pairs.lost, pairs.won) == (100, 14, 12)
    verdict = judge_shadow(early, live, load_catalogue(live), Margin(0.01, 0.95))
    assert not verdict.is_passed
    unasked = report_of(none_right=120, drawn_person=300, drawn_answered=700)
    with pytest.raises(CandidateError, match="answered 0 of 700 jobs that they are to check"):
        judge_shadow(unasked, live, load_catalogue(live), Margin(0.01, 0.95))


def test_a_text_that_came_often_lets_nobody_in(live: Path) -> None:
    """Sixty jobs of one text are sixty jobs, and one text: it has to hold by both."""
    start(live)
    said = report_of(1 + 3 + 537, wrong_right=1, right_wrong=3, right_right=537, drawn_answered=600)
    by_jobs = dict(said.counts) | {"judged:wrong:right": 60.0}
    often = ShadowReport("topic", "topic-candidate", 0.1, by_jobs, said.texts)
    verdict = judge_shadow(often, live, load_catalogue(live), Margin(0.01, 0.95))
    assert (verdict.is_passed, verdict.of_jobs, verdict.look.pairs.rows) == (False, False, 541)


def test_however_unevenly_people_answer_a_worse_one_stays() -> None:
    """Of candidates that are worse by the margin, no more pass than the level of a look allows."""
    chance = np.random.default_rng(7)
    num_passed = 0
    for _ in range(400):
        # 300 of 1,000 jobs go to people. On 100 of these the candidate alone is right, on 110 of
        # the others the live cascade alone.
        num_won, num_lost = chance.binomial(300, 1 / 3), chance.binomial(700, 110 / 700)
        num_done = chance.binomial(700, 0.15)
        done_lost = chance.hypergeometric(num_lost, 700 - num_lost, num_done)
        asked = {"none_right": num_won, "none_none": 300 - num_won, "drawn_person": 300}
        checked = {"right_wrong": done_lost, "right_right": num_done - done_lost}
        jobs, _ = evenly_judged(report_of(drawn_answered=700, **asked, **checked))
        num_passed += p_value(pairs_in(jobs), 0.01) <= 0.025
    assert num_passed <= 16


def test_each_look_is_written_down_and_asks_for_more(live: Path) -> None:
    """Whatever the candidate is called, its cascade is the same."""
    start(live)
    loaded, margin = load_catalogue(live), Margin(0.05, 0.95)
    reports = [report_of(right_right=num, drawn_answered=num) for num in (400, 400, 401)]
    first, again, second = (judge_shadow(each, live, loaded, margin) for each in reports)
    assert (first.is_passed, first.look.number, second.look.number) == (True, 1, 2)
    assert second.look.level == first.look.level / 2
    # Nobody had said anything since.
    assert again.look == first.look
    worse = report_of(right_right=300, right_wrong=100, drawn_answered=400)
    assert judge_shadow(worse, live, loaded, margin).is_passed is False


def test_without_a_word_of_people_nothing_is_judged(live: Path) -> None:
    """It would be a look for nothing; it is said what brings labels."""
    start(live)
    report = ShadowReport("topic", "topic-candidate", 0.1, {"answered:answered": 9.0})
    with pytest.raises(CandidateError, match="no person's answer is known"):
        judge_shadow(report, live, load_catalogue(live), Margin(0.01, 0.95))
    assert not Versions(live, "topic").looks.exists()
