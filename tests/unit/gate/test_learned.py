"""What the gate reads in a candidate's cards."""

from pathlib import Path

import pytest

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.gate.errors import CandidateError
from smallfirst.gate.learned import check_not_its_own, chosen_by, is_promised_by_machines
from smallfirst.provenance.card import MODEL_CARD, Part, write_card
from smallfirst.provenance.record import Provenance, Source

CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
  far: {tier: llm, remote: true}
models:
  own: {tier: linear, source: ./models/topic-1}
  minilm: {source: "bundled:minilm"}
  large: {tier: llm, source: a, endpoint: "http://127.0.0.1:9/v1"}
tasks:
  topic:
    kind: classify
    labels: {billing: money, delivery: parcels}
    cascade: [{model: own}, {models: [own, minilm]}, {model: large}]
"""


PERSON = Provenance(source=Source.HUMAN, tier="human")


def by(model: str, tier: str) -> Provenance:
    """An answer of a model."""
    return Provenance(source=Source.CASCADE, tier=tier, model=model)


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """A candidate with a model that was trained here."""
    (tmp_path / "models" / "topic-1").mkdir(parents=True)
    (tmp_path / "fitted").mkdir()
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    return tmp_path / "catalogue.yaml"


@pytest.mark.parametrize("card", [f"models/topic-1/{MODEL_CARD}", "fitted/topic.provenance.jsonl"])
@pytest.mark.parametrize("model", ["own", "minilm", "own+minilm"])
def test_own_answers_are_refused_by_the_models_name(candidate: Path, card: str, model: str) -> None:
    """Whoever wrote the card: a fitting, or a training of one of its models."""
    write_card(candidate.parent / card, {Part.LEARNING: ["k"]}, {"k": (by(model, "slm"),)})
    with pytest.raises(
        CandidateError, match=rf"models\.{model.partition('+')[0]}: .*its own answers"
    ):
        check_not_its_own("topic", candidate, load_catalogue(candidate, needs_promises=False))


@pytest.mark.parametrize("said", [by("large", "llm"), by("other", "slm"), by("rules", "rule")])
def test_answers_of_others_may_teach(candidate: Path, said: Provenance) -> None:
    """A large model, one that the candidate does not ask, and a rule learn from no row."""
    write_card(
        candidate.parent / "models" / "topic-1" / MODEL_CARD, {Part.LEARNING: ["k"]}, {"k": (said,)}
    )
    check_not_its_own("topic", candidate, load_catalogue(candidate, needs_promises=False))


def test_what_chose_thresholds_is_told_and_nonsense_refused(candidate: Path) -> None:
    """Without a card nothing is known; one that cannot be read opens no gate."""
    card = candidate.parent / "fitted" / "topic.provenance.jsonl"
    assert chosen_by("topic", candidate) == {}
    write_card(card, {Part.LEARNING: ["a"], Part.PROMISING: ["b"]}, {})
    assert chosen_by("topic", candidate) == {str(card): frozenset({"b"})}
    card.write_text("{")
    with pytest.raises(CandidateError, match="fit or train anew"):
        chosen_by("topic", candidate)


@pytest.mark.parametrize(
    ("parts", "said", "by_machines"),
    [
        ({Part.PROMISING: ["k"]}, (by("large", "llm"),), True),
        ({Part.PROMISING: ["k", "unknown"]}, (by("large", "llm"),), True),
        ({Part.PROMISING: ["k"]}, (by("large", "llm"), PERSON), False),
        ({Part.PROMISING: ["k"]}, (), False),
        ({Part.LEARNING: ["k"]}, (by("large", "llm"),), False),
    ],
)
def test_it_is_known_whose_answers_promise(
    candidate: Path,
    parts: dict[Part, list[str]],
    said: tuple[Provenance, ...],
    *,
    by_machines: bool,
) -> None:
    """Machines that only taught promise nothing, and what a person settled is a person's."""
    assert not is_promised_by_machines("topic", candidate)
    write_card(candidate.parent / "fitted" / "topic.provenance.jsonl", parts, {"k": said})
    assert is_promised_by_machines("topic", candidate) is by_machines
