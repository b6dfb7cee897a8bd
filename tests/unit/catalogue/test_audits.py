"""Audits in the catalogue: what they say, what is refused, and that they void no promise."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from smallfirst.catalogue import Audit, Catalogue, WhenBroken, step_specs
from smallfirst.catalogue.audit_orders import audit_order
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.errors import CatalogueError

RULE = {"rule": {"patterns": [{"label": "up", "pattern": "x"}]}}
KEYS: dict[str, dict[str, Any]] = {
    "classify": {"labels": {"up": "Up.", "down": "Down."}, "cascade": [RULE]},
    "embed": {"cascade": [{"model": "mini"}]},
    "generate": {"cascade": [{"model": "mini"}]},
}


def catalogue(audit: object, kind: str = "classify", **more: Any) -> Catalogue:
    """A catalogue with one audited task."""
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": {"mini": {"source": "bundled:minilm"}},
            "tasks": {"topic": {"kind": kind, **KEYS[kind], "audit": audit, **more}},
        }
    )


def audit_of(audit: object) -> Audit:
    """The audit of the one task."""
    found = catalogue(audit).tasks["topic"].audit
    assert found is not None
    return found


def test_a_number_alone_is_the_share() -> None:
    """All the rest is as nobody said it: kept a week, and told of."""
    audit = audit_of(0.01)
    assert audit == audit_of({"share": 0.01})
    assert (audit.keep, audit.when_broken) == (timedelta(days=7), WhenBroken.WARN)


@pytest.mark.parametrize(
    ("audit", "kind", "rule"),
    [
        (0, "classify", "greater than 0"),
        (1.5, "classify", "less than or equal to 1"),
        (True, "classify", "audit"),
        ({"share": 0.1, "keep": "31d"}, "classify", "must be from 1m to 30d"),
        ({"share": 0.1, "keep": 7}, "classify", "a duration with its unit"),
        ({"share": 0.1, "when_broken": "shout"}, "classify", "must be `warn` or `stop`"),
        ({"share": 0.1, "when_broken": "stop"}, "classify", "no promise can be broken"),
        ({"share": 0.1, "golden_share": 0.6}, "classify", "less than or equal to 0.5"),
        ({"share": 0.1, "golden": ({"text": "x", "label": "lft"},)}, "classify", "'lft'"),
        ({"share": 0.1, "shrae": 1}, "classify", "shrae"),
        (0.1, "embed", "a person cannot write the answer of an embed task"),
        (0.1, "generate", "no audit can count what is wrong"),
    ],
)
def test_what_is_no_audit_is_refused(audit: object, kind: str, rule: str) -> None:
    """With the rule that it breaks."""
    with pytest.raises(ValidationError, match=rule):
        catalogue(audit, kind)


def test_a_task_that_asks_people_alone_has_nothing_to_check() -> None:
    """No machine's answer is accepted there."""
    with pytest.raises(ValidationError, match="no machine answers this task"):
        catalogue(0.1, cascade=[{"person": {}}])


def test_an_audit_voids_no_promise() -> None:
    """What decides a step's answers hashes the same with it and without."""
    without, with_audit = catalogue(None), catalogue({"share": 0.5, "keep": "1h"})
    specs = {step_specs(each.tasks["topic"], each.models) for each in (without, with_audit)}
    assert len(specs) == 1


def test_a_changed_step_begins_a_new_series_and_a_changed_audit_none() -> None:
    """So a count never mixes answers that were accepted by different rules."""

    def series_of(found: Catalogue) -> str:
        order = audit_order(found.tasks["topic"], found.models)
        assert order is not None
        return order.series

    first = series_of(catalogue(0.1))
    assert series_of(catalogue({"share": 0.2, "keep": "1h"})) == first
    assert series_of(catalogue(0.1, cascade=[RULE | {"accept": "always"}])) != first


def test_golden_rows_are_read_from_their_file(tmp_path: Path) -> None:
    """And what is wrong with one is told by its line."""
    path, rows = tmp_path / "catalogue.yaml", tmp_path / "golden.jsonl"
    path.write_text(
        "version: 1\ntasks:\n  topic:\n    kind: classify\n    labels: {up: Up., down: Down.}\n"
        "    cascade: [{rule: {patterns: [{label: up, pattern: x}]}}]\n"
        "    audit: {share: 0.1, golden: golden.jsonl}\n"
    )
    rows.write_text('{"text": "a", "label": "up"}\n{"text": "b", "label": "down"}\n')
    audit = load_catalogue(path).tasks["topic"].audit
    assert audit is not None
    assert [row.label for row in audit.golden] == ["up", "down"]
    rows.write_text('{"text": "a", "label": "up"}\n{"text": "b", "label": "dwon"}\n')
    with pytest.raises(CatalogueError, match=r"golden\.jsonl:2: tasks\.topic\.audit\.golden"):
        load_catalogue(path)
