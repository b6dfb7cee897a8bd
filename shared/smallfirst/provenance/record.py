"""Who labelled a row: the record that stands beside its answer, and what rows say of it. Pure."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smallfirst.answers import Probability
from smallfirst.jobs import Tier

#: The key of a row under which its provenance stands.
PROVENANCE_KEY: Final = "provenance"
#: The key under which the desk says who answered a row.
HUMAN_KEY: Final = "human"
#: Between the models whose mean is an answer, in a trail.
_MEAN: Final = "+"
#: How `fit` names a tuned model: another one each time that it is trained.
_TUNED: Final = re.compile(r"-tuned-[0-9a-f]{8}$")
#: The tiers whose models learn from a task's rows.
LEARNING_TIERS: Final = frozenset({Tier.LINEAR, Tier.SLM})


class Source(StrEnum):
    """What kind of answer a row's label is."""

    HUMAN = "human"
    LLM = "llm"
    SYNTHETIC = "synthetic"
    CASCADE = "cascade"


class Provenance(BaseModel):
    """Who labelled a row, and how surely."""

    # Rows of a newer version say more.
    model_config = ConfigDict(frozen=True, extra="ignore")

    source: Source = Field(
        description="A person, a large model, a large model that wrote the text too, or another"
        " step of a cascade."
    )
    tier: str | None = Field(default=None, description="The tier that answered.")
    model: str | None = Field(default=None, description="The model's name in the catalogue.")
    revision: str | None = Field(
        default=None, description="The model's version; of a person, a pseudonym."
    )
    confidence: Probability | None = Field(default=None, description="How sure the answer was.")
    stood: bool = Field(
        default=True, description="Whether the answer was sure enough for its step to accept it."
    )
    blind: bool = Field(
        default=False, description="Whether a person answered without seeing what a machine said."
    )

    @property
    def models(self) -> tuple[str, ...]:
        """The models that answered: several where their mean is the answer."""
        return tuple(self.model.split(_MEAN)) if self.model else ()

    @property
    def is_persons(self) -> bool:
        """Whether a person answered."""
        return self.source is Source.HUMAN

    def learned_by(self, trained: frozenset[str]) -> str | None:
        """Name the model that answered and is itself to learn from rows; None where none is.

        Args:
            trained: The models that are to be trained.
        """
        if self.tier not in LEARNING_TIERS:
            return None
        families = {family_of(model) for model in trained}
        return next((model for model in self.models if family_of(model) in families), None)

    def as_json(self) -> dict[str, Any]:
        """Write it as a row has it, without what says nothing."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def family_of(model: str) -> str:
    """Name a model without what tells one training of it from the next."""
    return _TUNED.sub("-tuned", model)


class NoProvenance(ValueError):
    """Raised when a row does not say who labelled it; its message is the rule."""


def provenance_in(row: Mapping[str, Any]) -> Provenance | None:
    """Read what a row says of who labelled it; None where it says nothing.

    Raises:
        NoProvenance: When it says something that cannot be read.
    """
    if row.get(PROVENANCE_KEY) is not None:
        try:
            return Provenance.model_validate(row[PROVENANCE_KEY])
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "all of it"
            raise NoProvenance(
                f"{PROVENANCE_KEY}: {where} cannot be read; `smallfirst label` writes it"
            ) from None
    about = row.get(HUMAN_KEY)
    if isinstance(about, Mapping):
        person, blind = about.get("person"), about.get("blind") is True
        return Provenance(
            source=Source.HUMAN,
            tier=Tier.HUMAN,
            revision=person if isinstance(person, str) else None,
            blind=blind,
        )
    return None
