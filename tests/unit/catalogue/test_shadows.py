"""Shadows in the catalogue: what is refused, by name, and what a candidate's models are."""

from typing import Any

import pytest
from pydantic import ValidationError

from smallfirst.catalogue import Catalogue, step_specs
from smallfirst.catalogue.shadow_orders import shadow_order

LABELS = {"up": "Up.", "down": "Down."}
RULE = {"rule": {"patterns": [{"label": "up", "pattern": "up"}]}}


def catalogue(candidate: dict[str, Any], **live: Any) -> Catalogue:
    """A catalogue with a task and a candidate for its place."""
    task = {"kind": "classify", "labels": LABELS, "cascade": [{"model": "mini"}]}
    in_shadow = {**task, "shadow": {"of": "topic"}} | candidate
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": {"mini": {"source": "bundled:minilm"}, "tiny": {"source": "./tiny"}},
            "tasks": {"topic": task | live, "next": in_shadow},
        }
    )


def test_a_share_of_a_twentieth_is_the_usual_one() -> None:
    """And the catalogue tells the candidate of a task."""
    found = catalogue({})
    assert found.candidate_of("topic") == "next"
    assert found.candidate_of("next") is None
    order = shadow_order(found, "topic")
    assert order is not None
    assert (order.candidate, order.share, order.judged_share) == ("next", 0.05, 0.0)


@pytest.mark.parametrize(
    ("candidate", "live", "rule"),
    [
        ({"shadow": {"of": "topics"}}, {}, "not another one of `tasks`, did you mean 'topic'"),
        ({"shadow": {"of": "next"}}, {}, "'next' is not another one of `tasks`"),
        ({"shadow": {"of": "topic", "share": 0}}, {}, "greater than 0"),
        ({"shadow": {"of": "topic", "share": 0.6}}, {}, "less than or equal to 0.5"),
        (
            {"labels": {"up": "Up.", "on": "On."}},
            {},
            "'down', 'on' stand in one of the two tasks alone",
        ),
        ({"kind": "multilabel"}, {}, "'topic' is classify, and this one multilabel"),
        ({"max_chars": 10}, {}, "takes texts of 200,000 characters; set `max_chars`"),
        ({"cascade": [RULE, {"person": {"wait": "1h"}}]}, {}, "a shadow takes nobody's time"),
        ({"audit": 0.1}, {}, "the checks of the task that it is in shadow of count"),
        ({}, {"shadow": {"of": "next"}}, "runs in shadow itself, and has no jobs of its own"),
    ],
)
def test_what_makes_no_sense_is_refused(
    candidate: dict[str, Any], live: dict[str, Any], rule: str
) -> None:
    """With the place, the rule, and what to say instead."""
    with pytest.raises(ValidationError, match=rule):
        catalogue(candidate, **live)


@pytest.mark.parametrize("kind", ["embed", "generate"])
def test_answers_that_cannot_be_compared_have_no_shadow(kind: str) -> None:
    """A vector, or free text, is neither right nor wrong."""
    task = {"kind": kind, "cascade": [{"model": "mini"}], "shadow": {"of": "topic"}}
    with pytest.raises(ValidationError, match="nothing can be compared; leave the shadow out"):
        Catalogue.model_validate(
            {
                "version": 1,
                "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
                "models": {"mini": {"source": "bundled:minilm"}},
                "tasks": {"topic": {**task, "shadow": None}, "next": task},
            }
        )


def test_one_task_has_one_candidate() -> None:
    """Two would share its jobs, and nobody could say whose counts are whose."""
    found = catalogue({}).model_dump(mode="json", exclude_defaults=True)
    found["tasks"]["third"] = found["tasks"]["next"]
    with pytest.raises(ValidationError, match="'next' runs in shadow of 'topic' already"):
        Catalogue.model_validate(found)


def test_without_shadows_their_own_models_are_gone_too() -> None:
    """A model that live tasks ask as well stays; one that nobody asks is nobody's business."""
    found = catalogue({"cascade": [{"model": "mini"}, {"model": "tiny"}]}).without_shadows()
    assert (set(found.tasks), set(found.models)) == ({"topic"}, {"mini"})
    assert set(catalogue({}).without_shadows().models) == {"mini", "tiny"}


def test_a_shadow_voids_no_promise() -> None:
    """A candidate's steps are the same once it is live."""
    found = catalogue({})
    specs = [step_specs(task, found.models) for task in found.tasks.values()]
    assert specs[0] == specs[1]


def test_another_cascade_begins_a_new_count() -> None:
    """Of the candidate or of the live task."""
    orders = [
        shadow_order(each, "topic")
        for each in (
            catalogue({}),
            catalogue({"cascade": [{"model": "mini", "accept": 0.9}]}),
            catalogue({}, cascade=[{"model": "mini", "accept": 0.9}]),
        )
    ]
    assert len({order.series for order in orders if order}) == 3


def test_people_judge_the_even_part_of_what_is_checked_and_copied() -> None:
    """No more than is checked evenly, and no more than is copied."""
    few, many = catalogue({}, audit=0.02), catalogue({}, audit=0.5)
    shares = [order.judged_share for each in (few, many) if (order := shadow_order(each, "topic"))]
    assert shares == [pytest.approx(0.013), 0.05]
