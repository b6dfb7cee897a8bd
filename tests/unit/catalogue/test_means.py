"""Laws of a step that answers by the mean of several models."""

import pytest
import yaml
from pydantic import ValidationError

from smallfirst.catalogue import Backlog, Catalogue, MeanStep

CATALOGUE = """
version: 1
pools:
  small: {tier: slm, max_parameters: 50M}
models:
  words: {tier: linear, source: "bundled:words"}
  minilm: {source: "bundled:minilm"}
  other: {source: "bundled:minilm"}
tasks:
  asked:
    kind: KIND
    labels: {a: "", b: ""}
    cascade: [STEP]
"""


def catalogue(step: str, kind: str = "classify") -> Catalogue:
    """A catalogue with one task of one step."""
    text = CATALOGUE.replace("STEP", step).replace("KIND", kind)
    return Catalogue.model_validate(yaml.safe_load(text))


def test_a_mean_waits_for_its_encoder() -> None:
    """It is of the encoder's tier, on its pool, and named after all its models."""
    read = catalogue("{models: [words, minilm], accept: calibrated}")
    [step] = read.tasks["asked"].cascade

    assert isinstance(step, MeanStep)
    assert step.name == "words+minilm"
    assert read.tier_of(step) == "slm"
    assert step.destination({"minilm": "small"}, "asked") == Backlog("small", "minilm")
    assert step.options.models == step.asks == ("words", "minilm")
    assert step.is_calibrated


@pytest.mark.parametrize(
    ("step", "kind", "rule"),
    [
        ("{models: [words]}", "classify", "needs one encoder; name one, or ask for `model: words`"),
        ("{models: [words, minilm, other]}", "classify", "one encoder, here are minilm and other"),
        ("{models: [words, minilm]}", "tag", "only `classify` and `multilabel` tasks have a mean"),
        ("{models: [words, words, minilm]}", "classify", r"models\[1\]: 'words' is named twice"),
        ("{models: [wrds, minilm]}", "classify", "did you mean 'words'"),
        ("{modles: [words, minilm]}", "classify", "modles"),
        ("{models: [words, minilm], vote: 3}", "classify", "vote"),
    ],
)
def test_what_has_no_mean_is_refused(step: str, kind: str, rule: str) -> None:
    """The field is named, the rule, and what to do."""
    with pytest.raises(ValidationError, match=rule):
        catalogue(step, kind)
