"""What a candidate learned from, by its cards: neither its own answers nor the rows that judge it.

Cards are written by `smallfirst fit`, `distil` and `train`; where there is none nothing is known,
and a candidate made by hand is judged by its labels alone.
"""

from collections.abc import Iterator
from pathlib import Path

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.model_files import model_folder
from smallfirst.errors import ModelFilesError
from smallfirst.fitting.writing import Destination
from smallfirst.gate.errors import CandidateError
from smallfirst.provenance.card import MODEL_CARD, Part, UsedRow, own_answers, read_card
from smallfirst.provenance.record import LEARNING_TIERS
from smallfirst.wording import numbered


def check_not_its_own(task: str, candidate: Path, loaded: Catalogue) -> None:
    """See that no model of a candidate has learned from answers that it gave itself.

    Args:
        task: Its name.
        candidate: The candidate's catalogue.
        loaded: The same, read.

    Raises:
        CandidateError: When one has: it would be sure of its mistakes.
    """
    trained = frozenset(
        model
        for step in loaded.tasks[task].cascade
        for model in step.asks
        if loaded.models[model].tier in LEARNING_TIERS
    )
    for card in cards_of(task, candidate, loaded):
        for model, count in own_answers(_read(card), trained).items():
            rows = numbered(count, "row was", "rows were")
            raise CandidateError(
                f"models.{model}: trained on its own answers: {rows} labelled by {model!r}"
                f" ({card}); label them by a large model or a person, and distil anew"
            )


def chosen_by(task: str, candidate: Path) -> dict[str, frozenset[str]]:
    """The keys of the texts that chose a candidate's thresholds, by the card that says so.

    Raises:
        CandidateError: When the card cannot be read.
    """
    card = Destination(candidate.absolute(), task).provenance
    keys = frozenset(row.key for row in _read(card) if row.part is Part.PROMISING)
    return {str(card): keys} if keys else {}


def is_promised_by_machines(task: str, candidate: Path) -> bool:
    """Whether answers of machines alone had a part in a candidate's promise, by its card.

    Raises:
        CandidateError: When the card cannot be read.
    """
    card = Destination(candidate.absolute(), task).provenance
    return any(
        row.by and not any(by.is_persons for by in row.by)
        for row in _read(card)
        if row.part is Part.PROMISING
    )


def cards_of(task: str, candidate: Path, loaded: Catalogue) -> Iterator[Path]:
    """The cards that there may be: of the fitting, and of each model of the cascade."""
    yield Destination(candidate.absolute(), task).provenance
    for model in loaded.tasks[task].asks:
        if loaded.models[model].is_remote:
            continue
        try:
            yield model_folder(loaded.models[model]) / MODEL_CARD
        except ModelFilesError:
            continue  # A bundled model has no folder of its own, and learned from no row here.


def _read(card: Path) -> tuple[UsedRow, ...]:
    try:
        return tuple(read_card(card))
    except ValueError as error:
        raise CandidateError(str(error)) from None
