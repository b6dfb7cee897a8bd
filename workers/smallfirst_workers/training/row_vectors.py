"""The rows that a trained head learned from, as they are kept beside it; see `heads.taught`."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smallfirst.catalogue import Example
from smallfirst.catalogue.likeness import text_key
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.provenance.row_vectors import (
    ROW_VECTORS,
    TaughtRow,
    id_hash,
    kept_places,
    read_rows,
)
from smallfirst_workers.heads.fitting import folder_of
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.heads.taught import taught_rows
from smallfirst_workers.training.network import Network
from smallfirst_workers.training.training_data import Collator, Row
from smallfirst_workers.training.workspace import Bench

#: Rows that are read in one pass.
_AT_ONCE = 64


def rows_of_head(bench: Bench, examples: Sequence[Example], head: LinearHead) -> list[TaughtRow]:
    """What a worker keeps beside a head of a frozen encoder, with the lines and ids of the rows."""
    path = folder_of(head.key, bench.cache) / ROW_VECTORS
    if not path.is_file():  # words are judged, or an earlier version fitted it
        return []
    return [_of_file(bench, row, examples[row.number - 1].text) for row in read_rows(path)]


def _of_file(bench: Bench, row: TaughtRow, text: str) -> TaughtRow:
    ids = tuple(map(id_hash, sorted(bench.rows.ids.get(text, ()))))
    return replace(row, number=bench.rows.lines[text], ids=ids)


def rows_of_network(
    bench: Bench, examples: Sequence[Example], network: Network, material: Sequence[Row], pad: int
) -> list[TaughtRow]:
    """Read the rows once more with an encoder that was tuned.

    Args:
        bench: Of the training.
        examples: That were learned from.
        network: Tuned.
        material: The examples as tensors.
        pad: The id that fills shorter rows.
    """
    form = KINDS[bench.task.kind].head
    if form is HeadForm.WORDS or len(material) < len(examples):
        return []
    keys = [text_key(example.text) for example in examples]
    kept = kept_places(keys, network.width)
    collator = Collator(pad, is_multilabel=form is HeadForm.EACH)
    passes = [kept[start : start + _AT_ONCE] for start in range(0, len(kept), _AT_ONCE)]
    vectors = [network.vectors(collator([material[at] for at in some])) for some in passes]
    taught = [examples[at] for at in kept]
    return taught_rows(
        bench.task,
        taught,
        np.concatenate(vectors),
        numbers=[bench.rows.lines[each.text] for each in taught],
        ids=[sorted(bench.rows.ids.get(each.text, ())) for each in taught],
    )
