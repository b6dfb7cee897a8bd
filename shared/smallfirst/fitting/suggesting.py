"""Writes what people are to label next: what teaches most, and, at first, a draw to judge by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.likeness import text_key
from smallfirst.evaluation.calibrating import FEWEST_ROWS
from smallfirst.fitting.to_label import ReadsVectors, to_label
from smallfirst.fitting.unlabelled import (
    Texts,
    check_not_labelled,
    read_unlabelled,
    write_to_label,
)
from smallfirst.fitting.writing import Destination
from smallfirst.wording import counted

#: As many rows a label, and as many in any case, as a fitting takes to judge by.
_JUDGES_A_LABEL, _JUDGES = 5, 3 * FEWEST_ROWS


@dataclass(frozen=True)
class Suggested:
    """What is to be labelled next.

    Attributes:
        to_teach: The file of rows that teach most.
        num_to_teach: How many they are.
        to_judge: The file of rows drawn by chance; None where there are labelled ones already.
        num_to_judge: How many they are.
        fewest: How many a fitting takes.
        num_texts: Of how many texts they were chosen.
        num_in_file: How many there were; of more than some thousand a sample is compared.
    """

    to_teach: Path
    num_to_teach: int
    to_judge: Path | None
    num_to_judge: int
    fewest: int
    num_texts: int
    num_in_file: int


def check_suggestable(to: Destination, unlabelled: Path) -> None:
    """See before the work begins that what people labelled is not written over.

    Raises:
        FitError: When it would be.
    """
    for path in (to.to_teach, to.to_judge):
        if path.exists() and path.samefile(unlabelled):
            continue
        check_not_labelled(path)


def suggest(
    to: Destination,
    unlabelled: Path,
    labelled: Sequence[Example],
    task: Task,
    count: int,
    vectors_of: ReadsVectors,
) -> Suggested:
    """Choose what to label next, and write it beside the catalogue.

    Args:
        to: Where it is written.
        unlabelled: The file of texts without labels.
        labelled: What has labels already; may be none.
        task: With its labels.
        count: How many rows are to teach.
        vectors_of: Places the texts.

    Raises:
        FitError: When the file is wrong, or holds nothing new.
    """
    check_suggestable(to, unlabelled)
    pool = read_unlabelled(unlabelled, {text_key(each.text) for each in labelled})
    judges = [] if labelled else list(pool.rows[: max(count, _fewest_judges(task))])
    rest = Texts(pool.rows[len(judges) :], pool.counts[len(judges) :], pool.num_distinct)
    seen = [*labelled, *(Example(text=row["text"]) for row in judges)]
    chosen = to_label(rest, seen, task, count, vectors_of)
    to.beside.mkdir(parents=True, exist_ok=True)
    write_to_label(to.to_teach, chosen)
    if not labelled:
        write_to_label(to.to_judge, judges)
    return Suggested(
        to_teach=to.to_teach,
        num_to_teach=len(chosen),
        to_judge=to.to_judge if judges else None,
        num_to_judge=len(judges),
        fewest=_fewest_judges(task),
        num_texts=len(pool.rows),
        num_in_file=pool.num_distinct,
    )


def _fewest_judges(task: Task) -> int:
    return max(_JUDGES, _JUDGES_A_LABEL * len(task.labels))


def advice(found: Suggested) -> list[str]:
    """Say what to label, in which order, and why."""
    said = []
    if found.to_judge is not None:
        said.append(
            f"Label these first: {counted(found.num_to_judge, 'row')} drawn by chance, by which a"
            f" cascade is chosen and promised: {found.to_judge}"
        )
        if found.num_to_judge < found.fewest:
            said.append(
                f"A fitting takes {found.fewest} of them at least for so many labels: gather more"
                " texts."
            )
    if found.num_to_teach:
        sample = (
            f" of a sample of {found.num_texts:,} of {found.num_in_file:,} texts"
            if found.num_texts < found.num_in_file
            else ""
        )
        said.append(
            f"{'Then' if said else 'Label'} these, the most telling first:"
            f" {counted(found.num_to_teach, 'row')}{sample}, which teach alone, since they are no"
            f" draw by chance: {found.to_teach}"
        )
    return said or ["No text is left that is unlike all labelled ones: there is nothing to label."]
