"""What rows and cards say of who labelled a row."""

import json
from pathlib import Path

import pytest

from smallfirst.provenance.card import Part, UsedRow, own_answers, read_card, write_card
from smallfirst.provenance.files import ProvenanceError, provenance_by_key, provenance_by_line
from smallfirst.provenance.record import Provenance, Source, provenance_in

LLM = Provenance(source=Source.LLM, tier="llm", model="large", revision="1", confidence=0.9)


def test_a_record_is_read_as_it_was_written() -> None:
    """What says nothing is not written, and a key of a newer version is passed over."""
    assert provenance_in({"provenance": {**LLM.as_json(), "newer": 1}}) == LLM
    assert Provenance(source=Source.HUMAN).as_json() == {"source": "human"}
    assert provenance_in({"text": "x"}) is None


def test_a_persons_row_of_the_desk_is_a_persons() -> None:
    """As `smallfirst export --provenance` writes it, blind or not."""
    found = provenance_in({"human": {"person": "p-1", "blind": True}})
    assert found is not None
    assert (found.source, found.revision, found.blind) == (Source.HUMAN, "p-1", True)


@pytest.mark.parametrize(
    "said", [7, {"source": "somebody"}, {"source": "llm", "confidence": 2}, [], "llm"]
)
def test_what_cannot_be_read_is_told_by_its_line(tmp_path: Path, said: object) -> None:
    """Else an answer of unknown origin would pass for a good one."""
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"text": "secret", "provenance": said}) + "\n")
    with pytest.raises(ProvenanceError, match=r"rows.jsonl:1: provenance") as error:
        list(provenance_by_line(file))
    assert "secret" not in str(error.value)


def test_lines_that_are_no_rows_are_passed_over(tmp_path: Path) -> None:
    """A text is known by its words, and who labelled it twice is told once."""
    row = json.dumps({"text": "A text.", "provenance": LLM.as_json()})
    (tmp_path / "rows.jsonl").write_text(f"{{\n\n{row}\n{row}\n" + '{"text": "other"}\n')
    assert list(provenance_by_key(tmp_path / "rows.jsonl").values()) == [(LLM,)]


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Keys, parts and who labelled them; without a card nothing is known."""
    path = tmp_path / "card.jsonl"
    assert list(read_card(path)) == []
    write_card(path, {Part.LEARNING: ["k1", "k1"], Part.PROMISING: ["k2"]}, {"k1": (LLM,)})
    assert list(read_card(path)) == [
        UsedRow("k1", Part.LEARNING, (LLM,)),
        UsedRow("k2", Part.PROMISING),
    ]
    path.write_text("nonsense\n")
    with pytest.raises(ValueError, match="fit or train anew"):
        list(read_card(path))


def test_own_answers_of_a_card_are_counted_by_model() -> None:
    """Rows that promised taught nobody; a large model learns from no row."""
    own = Provenance(source=Source.CASCADE, tier="linear", model="words")
    rows = [
        UsedRow("k1", Part.LEARNING, (own, LLM)),
        UsedRow("k2", Part.PROMISING, (own,)),
        UsedRow("k3", Part.LEARNING, (LLM,)),
    ]
    assert own_answers(rows, frozenset({"words", "large"})) == {"words": 1}
