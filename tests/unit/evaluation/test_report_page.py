"""The report page: whole, self-contained, and safe whatever the names are."""

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from smallfirst.acceptance import Acceptance
from smallfirst.answers import Evidence, Explanation, ExplanationMethod, LikeExample, Reasons
from smallfirst.cli.evaluate import alternatives_table, labels_table
from smallfirst.evaluation.evaluating import Evaluation, evaluate
from smallfirst.evaluation.evaluation_json import as_json
from smallfirst.evaluation.label_placement import room_for
from smallfirst.evaluation.plots import cost_quality_svg
from smallfirst.evaluation.report_page import report_page
from smallfirst.evaluation.rows_file import rows_as_json
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.evaluation.wrong_rows import NUM_WRONG_ROWS, Shaded, shaded, surest_wrong
from smallfirst.jobs import Tier

NASTY = "<script>alert('$x_1$ & co')</script>"
#: What HTML never closes.
VOID = {"meta", "br", "img", "input", "link", "hr"}
MEASURED = [("rows", f"400 of {NASTY}")]


def evaluation(
    *,
    labels: tuple[str, ...] = ("yes", "no", NASTY),
    num_steps: int = 2,
    costs: Sequence[float] = (0.001, 0.01, 0.1),
    bar: float = 0.7,
) -> Evaluation:
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
            parts = frozenset({(word, None)})
            cost = costs[place]
            said.append(Said(sure, word == right, word, {}, 0.1, 0.2, cost, parts, word))
        parts = frozenset({(right, None)})
        key, name = f"{number:016x}", f"{NASTY}-{number}"
        rows.append(ScoredRow(key, right, tuple(said), None, parts, right, number + 1, name))
    scores = Scores(NASTY, f"<b>{NASTY}</b>", steps, tuple(rows))
    return evaluate(scores, [Acceptance(threshold=bar)] * num_steps, labels)


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


def test_the_page_lists_wrong_answers_and_no_text_unasked() -> None:
    """The surest so many stand there with id and labels; a text only where texts are given."""
    found = evaluation(bar=0.0)
    num_wrong = sum(end.is_wrong for end in found.ends)
    texts = [f"<i>text {number}</i>" for number in range(120)]
    silent, shown = report_page(found, MEASURED), report_page(found, MEASURED, None, texts)
    assert num_wrong < NUM_WRONG_ROWS
    assert f"All {num_wrong}, the surest first" in silent
    assert "text " not in silent.partition('<table class="wrong">')[2].partition("</table>")[0]
    assert shown.count('<tr class="text">') == num_wrong
    assert "<i>" not in shown
    read(shown)


def test_what_drove_a_wrong_answer_is_shaded_where_texts_are_shown() -> None:
    """With the rows that taught it; nothing of it where texts are not shown."""
    found = evaluation(bar=0.0)
    place, *others = surest_wrong(found)
    texts = [f"{NASTY} and more" for _ in range(120)]
    alike = LikeExample(number=1234, labels=(NASTY,), key="k", likeness=0.5)
    explanation = Explanation(method=ExplanationMethod.WEIGHTS, label=NASTY, alike=(alike,))
    words = (
        Evidence(start=0, end=len(NASTY), weight=2.0),
        Evidence(start=len(NASTY) + 1, end=len(NASTY) + 4, weight=-1.0),
    )
    reasons = {place: Reasons(words, explanation)}
    silent = report_page(found, MEASURED, None, None, reasons)
    shown = report_page(found, MEASURED, None, texts, reasons)
    read(shown)
    assert "<mark" not in silent
    assert "1,234" not in silent
    assert shown.count('<mark class="for4">') == 1
    assert shown.count('<mark class="against">and</mark>') == 1
    assert shown.count("like these rows that it learned from: 1,234 (&lt;script&gt;") == 1
    assert "<script" not in shown
    assert "Shaded are the words" in shown
    assert others
    assert "Shaded are the words" not in report_page(found, MEASURED, None, texts)


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 90), st.floats(-9, 9)), max_size=8),
    st.text(max_size=500),
)
def test_a_shaded_text_is_the_text(found: list[tuple[int, int, float]], text: str) -> None:
    """Its beginning, whole and in order, whatever is marked in it or behind it."""
    evidence = [Evidence(start=start, end=start + size, weight=w) for start, size, w in found]
    written = "".join(each.text for each in shaded(text, evidence))
    assert written == (text if len(text) <= 400 else f"{text[:400]}…")
    assert list(shaded(text, [])) == [Shaded(written)]


def test_many_wrong_answers_are_not_all_listed() -> None:
    """The page is bounded, and says how many there are."""
    labels = tuple(f"label-{n}" for n in range(9))
    found = evaluation(labels=labels, num_steps=1, bar=0.0)
    many = replace(found, ends=found.ends * 4)
    page = report_page(many, MEASURED)
    wrong = page.partition('<table class="wrong">')[2].partition("</table>")[0]
    assert wrong.count("<tr>") == 1 + NUM_WRONG_ROWS
    assert f"The surest {NUM_WRONG_ROWS} of {sum(end.is_wrong for end in many.ends)}" in page


def test_every_row_is_written_with_its_outcome() -> None:
    """A row of the file has line, id, right answer and answer; what each step said; no text."""
    found = evaluation()
    rows = json.loads(json.dumps(list(rows_as_json(found))))
    assert [row["line"] for row in rows] == list(range(1, 121))
    outcomes = Counter(row["outcome"] for row in rows)
    assert outcomes["right"] == found.cascade.right
    assert outcomes["abstained"] == 120 - found.cascade.accepted
    for row in rows:
        said = row["steps"][row["step"]] if row["step"] is not None else {"answer": None}
        assert row["answer"] == said["answer"]
        assert (row["outcome"] == "right") == (row["answer"] == row["gold"])
        assert "text" not in row
    assert next(rows_as_json(found, ["told"] * 120))["text"] == "told"


def test_figures_by_label_are_in_page_and_json() -> None:
    """What is there and what was said add up to the rows and to the accepted answers."""
    found = evaluation()
    laid = as_json(found, MEASURED)["labels"]
    assert sum(label["num_there"] for label in laid) == 120
    assert sum(label["num_said"] for label in laid) == found.cascade.accepted
    assert sum(label["num_right"] for label in laid) == found.cascade.right
    assert '<table class="labels">' in report_page(found, MEASURED)


@pytest.mark.parametrize(
    "costs",
    [
        (1.1e-4, 1.2e-4, 1.3e-4), (1e-9, 1e-5, 1.0), (12.3456, 13.1, 14.0), (0.0, 0.0, 0.0),
        (1e-5, 2.1e-4, 2.2e-4), (9e-8, 1e-7, 1.9e-6),
    ],
)  # fmt: skip
def test_the_costs_below_a_figure_can_be_read(costs: tuple[float, ...]) -> None:
    """However the costs lie, two of the ticks' words are apart by a letter's width."""
    drawn = cost_quality_svg(evaluation(num_steps=3, costs=costs))
    tick = r'xtick_\d+">(?:(?!tick_).)*?<text[^>]* x="([\d.]+)"[^>]*>([\d.,]+)<'
    ticks = re.findall(tick, drawn, re.DOTALL)
    words = [(float(x), 3.5 * len(word)) for x, word in ticks]  # half of 7 pixels a letter
    assert len(words) >= 2
    for (left, half), (right, other_half) in pairwise(words):
        assert right - other_half - (left + half) > 7


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_heading_of_a_terminal_is_broken_within_a_word(width: int) -> None:
    """At any usual width each word of a heading stands whole, and no row is cut."""
    found = replace(evaluation(num_steps=3), currency="USD")
    for table in (alternatives_table(found, width=width), labels_table(found, width=width)):
        console = Console(width=width, file=StringIO())
        console.print(table)
        written = console.file.getvalue()  # type: ignore[attr-defined]
        headings = {word for column in table.columns for word in str(column.header).split()}
        assert headings <= set(written.split())
        assert "…" not in written


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
