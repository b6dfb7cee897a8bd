"""The report page: whole, self-contained, and safe whatever the names are."""

import json
import random
import re
from html.parser import HTMLParser

import pytest

from smallfirst.acceptance import Acceptance
from smallfirst.evaluation.evaluating import Evaluation, evaluate
from smallfirst.evaluation.evaluation_json import as_json
from smallfirst.evaluation.label_placement import room_for
from smallfirst.evaluation.report_page import report_page
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.jobs import Tier

NASTY = "<script>alert('$x_1$ & co')</script>"
#: What HTML never closes.
VOID = {"meta", "br", "img", "input", "link", "hr"}
MEASURED = [("rows", f"400 of {NASTY}")]


def evaluation(*, labels: tuple[str, ...] = ("yes", "no", NASTY), num_steps: int = 2) -> Evaluation:
    """A cascade under names that would be markup; seeded."""
    chance = random.Random(7)
    tiers = (Tier.RULE, Tier.SLM, Tier.LLM)[-num_steps:]
    steps = tuple(StepAbout(n, tier, f"{tier}{NASTY}", NASTY) for n, tier in enumerate(tiers))
    rows = []
    for number in range(120):
        right = chance.choice(labels)
        said = []
        for place, _ in enumerate(tiers):
            sure = chance.uniform(0.3, 1.0)
            word = right if chance.random() < sure else labels[0]
            said.append(Said(sure, word == right, word, {}, 0.1, 0.2, 0.001 * 10**place))
        rows.append(ScoredRow(f"{number:016x}", right, tuple(said)))
    scores = Scores(NASTY, f"<b>{NASTY}</b>", steps, tuple(rows))
    return evaluate(scores, [Acceptance(threshold=0.7)] * num_steps, labels)


class Reader(HTMLParser):
    """Reads a page and complains about what does not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "xlink:href", "srcset", "action"}:
                self.references.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    """Read it to its end."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_the_page_is_well_formed_and_holds_every_figure(num_steps: int) -> None:
    """Every element closes, every id is there once, and what refers to one finds it."""
    found = evaluation(num_steps=num_steps)
    page = report_page(found, MEASURED)
    reader = read(page)
    assert reader.open == []
    assert reader.tags.count("svg") == 2 + len(found.reliabilities)
    assert len(reader.ids) == len(set(reader.ids))
    targets = {*re.findall(r"url\(#([^)]+)\)", page), *(r[1:] for r in reader.references)}
    assert targets <= set(reader.ids)


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """No script, no address, no style or font that is fetched."""
    page = report_page(evaluation(), MEASURED)
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert all(reference.startswith("#") for reference in reader.references)
    assert not re.search(r"(?i)https?:|//[a-z]|@import|url\((?!#)", page)


def test_names_are_text_wherever_they_stand() -> None:
    """A name that would be markup, or a formula, is shown as it is written."""
    page = report_page(evaluation(), MEASURED)
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


def test_figures_take_their_colours_from_the_page() -> None:
    """No colour in a figure but the page's own, so that a dark page has no light figure."""
    page = report_page(evaluation(), MEASURED)
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", drawn) == []
    assert set(re.findall(r"var\(--([a-z0-9-]+)\)", drawn)) <= set(
        re.findall(r"--([a-z0-9-]+):", page)
    )


def test_the_same_figures_make_the_same_page() -> None:
    """Nothing in the page is of the hour or of chance."""
    assert report_page(evaluation(), MEASURED) == report_page(evaluation(), MEASURED)


def test_many_labels_become_a_list_of_mistakes() -> None:
    """Where a table would be too large, the commonest mistakes are listed."""
    labels = tuple(f"label-{n}" for n in range(30))
    page = report_page(evaluation(labels=labels), MEASURED)
    assert "too many labels for a table" in page


def test_the_figures_for_programs_are_json() -> None:
    """The JSON says the same as the evaluation, and holds no row."""
    found = evaluation()
    laid = json.loads(json.dumps(as_json(found, MEASURED), allow_nan=False))
    assert laid["cascade"]["accuracy"] == pytest.approx(found.cascade.accuracy)
    assert [each["name"] for each in laid["alternatives"]] == [a.name for a in found.alternatives]
    assert sum(map(sum, laid["confusion"]["counts"])) + sum(laid["confusion"]["abstained"]) == 120
    assert "rows" not in laid


def test_names_in_a_figure_find_room() -> None:
    """Two points in one place get their names apart, both within the figure."""
    page = (0.0, 0.0, 540.0, 390.0)
    point = (500.0, 200.0)
    _, _, first = room_for("a name", point, [], page)
    _, _, second = room_for("a name", point, [first], page)
    assert first[2] <= page[2]
    assert first[3] <= second[1] or second[3] <= first[1] or second[2] <= first[0]


def test_a_name_stands_on_no_interval_where_it_can() -> None:
    """A line is crossed only where the name would otherwise cover a point or leave the figure."""
    page = (0.0, 0.0, 540.0, 390.0)
    beside = (130.0, 0.0, 134.0, 390.0)
    side, _, box = room_for("a name", (110.0, 200.0), [], page, lines=[beside])
    assert (side, box[2] < beside[0]) == (-1, True)
    _, _, box = room_for("a name", (20.0, 200.0), [], page, lines=[(40.0, 0.0, 44.0, 390.0)])
    assert page[0] <= box[0] < box[2] <= page[2]
