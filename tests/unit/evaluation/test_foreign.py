"""Texts that no label fits: what is promised of them, and what is told."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smallfirst.acceptance import Acceptance
from smallfirst.catalogue import Catalogue, Promise
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.errors import CatalogueError
from smallfirst.evaluation.calibrating import Origin, without_flagged
from smallfirst.evaluation.conclusions import foreign_sentences
from smallfirst.evaluation.evaluating import evaluate
from smallfirst.evaluation.foreign import ForeignAccepted, calibrate_with_foreign
from smallfirst.evaluation.promises import foreign_in_words
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout
from smallfirst.evaluation.thresholds import Aim
from smallfirst.jobs import Tier

CATALOGUE = """\
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models:
  mini: {source: bundled:minilm}
tasks:
  topic:
    kind: classify
    labels: {a: A., b: B.}
    examples: [{text: x, label: a}]
    cascade: [{model: mini, accept: calibrated, foreign: calibrated}]
"""
STEPS = (StepAbout(0, Tier.SLM, "mini", "r0"),)


def catalogue_of(folder: Path, content: str = CATALOGUE) -> Catalogue:
    """Read a catalogue without its promise."""
    path = folder / "catalogue.yaml"
    path.write_text(content)
    return load_catalogue(path, needs_promises=False)


def rows(
    count: int, right: str, foreign: tuple[float, float], first: int = 0
) -> Iterator[ScoredRow]:
    """So many rows, as foreign as lies evenly between two shares; all sure to be a, some are b."""
    low, high = foreign
    for number in range(count):
        share = low + (high - low) * number / count
        said = Said(0.9, right == "a", "a", {"a": 0.9, "b": 0.1}, cost=1.0, foreign=share)
        answer = right or None
        yield ScoredRow(f"{first + number:016x}", right, (said,), answer=answer)


def scores(*parts: ScoredRow) -> Scores:
    """What one step said."""
    return Scores("topic", "USD", STEPS, parts)


OWN = scores(*rows(1000, "a", (0.0, 1.0)))


def promised(catalogue: Catalogue, foreign: Scores) -> object:
    """Promise at most 2 % errors, and at most 5 % of foreign texts answered."""
    origin = Origin(catalogue, datetime(2026, 11, 29, tzinfo=UTC))
    return calibrate_with_foreign(OWN, foreign, (Aim(0.02), 0.05), origin)


def test_the_limit_is_the_loosest_that_every_stricter_one_bears_out(tmp_path: Path) -> None:
    """Foreign texts from 0.9 on are kept out by the limits up to there, and by none beyond."""
    found = promised(catalogue_of(tmp_path), scores(*rows(200, "", (0.901, 1.0), first=5000)))
    assert isinstance(found, Promise)
    assert found.foreign is not None
    assert (found.foreign.limit, found.foreign.num_accepted) == (0.9, 0)
    assert found.steps[0].acceptance.foreign == 0.9
    assert found.share_answered == pytest.approx(0.9, abs=0.01)
    assert "at most 5.00% of texts that no label fits" in foreign_in_words(found)


@pytest.mark.parametrize(
    ("count", "share"), [(58, (0.9, 1.0)), (200, (0.0, 0.6))], ids=["too few", "too near"]
)
def test_rows_that_do_not_bear_it_are_refused(
    tmp_path: Path, count: int, share: tuple[float, float]
) -> None:
    """It takes 59 rows with none accepted, and a limit that keeps them out."""
    found = promised(catalogue_of(tmp_path), scores(*rows(count, "", share, first=5000)))
    assert isinstance(found, ForeignAccepted)


def test_rows_of_one_template_count_once(tmp_path: Path) -> None:
    """Two hundred texts of a template are one text; nothing is promised of it."""
    alike = [replace(row, cluster=1) for row in rows(200, "", (0.95, 1.0), first=5000)]
    found = promised(catalogue_of(tmp_path), scores(*alike))
    assert isinstance(found, ForeignAccepted)
    assert found.num_distinct == 1


def test_a_flagged_answer_is_none() -> None:
    """Beyond the limit, or where it is not known how foreign the text is, nothing stands."""
    unknown = ScoredRow("f" * 16, "a", (Said(0.9, is_right=True, said="a"),))
    found = without_flagged(scores(*rows(2, "a", (0.2, 1.0)), unknown), (0.5,))
    assert [row.said[0].confidence for row in found.rows] == [0.9, 0.0, 0.0]


def test_foreign_rows_are_told_apart() -> None:
    """How many foreign texts were answered, and how many others seemed foreign."""
    mixed = scores(*rows(100, "a", (0.0, 1.0)), *rows(50, "", (0.8, 1.0), first=500))
    found = evaluate(mixed, [Acceptance(threshold=0.5, foreign=0.9)])
    assert found.foreign is not None
    said = list(foreign_sentences(found.foreign))
    assert said[0].startswith("Of 50 texts that no label fits 26 were answered")
    assert said[1].startswith("Of 100 other texts 9 seemed foreign")
    assert evaluate(OWN, [Acceptance(threshold=0.5)]).foreign is None


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("foreign: 95", "a text may be foreign by a share from 0 to 1, or as `calibrated`"),
        ("foreign: calibrated", "`foreign: calibrated` needs `accept: calibrated` beside it"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(tmp_path: Path, written: str, rule: str) -> None:
    """The error says what a limit is, or what it needs."""
    content = CATALOGUE.replace("accept: calibrated, foreign: calibrated", written)
    with pytest.raises(CatalogueError, match=rule):
        catalogue_of(tmp_path, content)


def test_only_who_can_tell_is_asked(tmp_path: Path) -> None:
    """A linear model has no such distance, and a limit on its step is refused."""
    content = CATALOGUE.replace("{source: bundled:minilm}", "{tier: linear, source: bundled:words}")
    with pytest.raises(CatalogueError, match="only a model of tier slm tells it"):
        catalogue_of(tmp_path, content)
