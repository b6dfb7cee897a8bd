"""Training a linear model from a task's examples, in seconds, the same each time.

scikit-learn counts, weighs and fits; what it found out is kept as plain numbers and words, so that
answering needs numpy alone. A test holds that both see the same in a text.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple

import numpy as np
import structlog

from smallfirst.catalogue import Task, place_text
from smallfirst.catalogue.build_once import build_once
from smallfirst.catalogue.model_tasks import examples_problem
from smallfirst.errors import CatalogueError, CatalogueProblem
from smallfirst.kinds import KINDS
from smallfirst.linear.features import BLOCKS, MAX_CHARS, folded
from smallfirst.linear.messages import text_read
from smallfirst.linear.model import LinearModel
from smallfirst.linear.regression import (
    LeftOut,
    Search,
    choose_by_rows,
    fit,
    rows_of,
    weights_of,
)
from smallfirst.linear.turning import Turned

#: Changes whenever training would make another model of the same examples.
RECIPE: Final = 3
#: In how many examples a feature has to occur: words may name a label in one alone, and a stretch
#: of letters that no two examples share tells of its example.
_MIN_OCCURRENCES: Final = (1, 2)
#: Most features of each block, those that occur most. Twice as many were right no more often on
#: rows held out of HEADLINES and BANKING77, and took twice the memory: half a gigabyte with these
#: for 77 labels.
_MAX_FEATURES: Final = (10_000, 20_000)
#: The best of these was 20 or its neighbour (HEADLINES, BANKING77, the demo's mail).
_SEARCH: Final = Search((1.0, 5.0, 20.0, 80.0, 320.0), first=20.0)
#: Largest slope of the loss where a fit stops: roughly while choosing, finely at last.
_CHOOSING_TOLERANCE, _TOLERANCE = 1e-3, 1e-4

log = structlog.get_logger()


def model_key(task: Task) -> str:
    """Hash everything that a trained model depends on.

    Args:
        task: Its kind, labels, examples and what is read of a text count; descriptions,
            thresholds and the like do not.
    """
    answered = {"text", str(KINDS[task.kind].example_key)}
    examples = [example.model_dump(mode="json", include=answered) for example in task.examples]
    made_from = [RECIPE, task.kind, list(task.labels), task.reads, examples]
    if (weights := weights_of(task.examples)) is not None:
        made_from.append(weights.tolist())
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def folder_of(task: Task, cache: Path) -> Path:
    """Name the folder of the model that a task's examples make."""
    return cache / "linear" / model_key(task)[:32]


def train(name: str, task: Task, cache: Path) -> None:
    """Train the model of a task's examples, if no process has yet.

    Raises:
        CatalogueError: When the examples do not suffice.
    """
    check_examples(name, task)
    build_once(folder_of(task, cache), lambda to: _train(name, task, to))


def check_examples(name: str, task: Task) -> None:
    """See that there is something to learn from.

    Raises:
        CatalogueError: When there is not.
    """
    if problem := examples_problem(task):
        where = place_text(("tasks", name))
        raise CatalogueError(CatalogueProblem(None, None, where, problem))


def _train(name: str, task: Task, to: Path) -> None:
    started = perf_counter()
    try:
        model, facts, left_out = fitted(task)
    except NothingShared as err:
        where = place_text(("tasks", name, "examples"))
        problem = "share no words or letters with each other: a linear model learns nothing of them"
        raise CatalogueError(CatalogueProblem(None, None, where, problem)) from err
    facts["seconds"] = round(perf_counter() - started, 1)
    model.save(to, facts)
    left_out.save(to)
    log.info("linear.trained", task=name, **facts)


class NothingShared(ValueError):
    """Raised when texts have no words, or no two of them a stretch of letters in common."""


class Fitted(NamedTuple):
    """A model that was fitted.

    Attributes:
        model: The model.
        facts: How it went, for people.
        left_out: What one like it said of examples that it had not learned from.
    """

    model: LinearModel
    facts: dict[str, Any]
    left_out: LeftOut


def fitted(task: Task) -> Fitted:
    """Fit a model to a task's examples, and say how it went."""
    # Imported by the process that trains alone: a second and 100 MB.
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    texts = [folded(text_read(task, example.text)[:MAX_CHARS]) for example in task.examples]
    counted, vectors = _count(texts)
    with threadpool_limits(limits=1, user_api="blas"):
        turned = Turned.of(vectors)
        rows = rows_of(task, turned.vectors)
        strength, loss, left_out = choose_by_rows(rows, _SEARCH, _CHOOSING_TOLERANCE)
        weights, bias = fit(rows, strength, _TOLERANCE)
        weights = turned.turned_back(weights)
    model = LinearModel(
        key=model_key(task),
        kind=task.kind,
        labels=tuple(task.labels),
        columns=_columns(counted),
        idf=np.concatenate([each.idf_ for each in counted]).astype(np.float32),
        weights=np.ascontiguousarray(weights.T, np.float32),
        bias=bias,
    )
    about = {
        "examples": len(texts),
        "features": vectors.shape[1],
        "strength": strength,
        "left_out_log_loss": round(loss, 4),
    }
    return Fitted(model, about, left_out)


def weighed(texts: Sequence[str]) -> Any:
    """Weigh the features of texts among each other: sparse `(texts, features)`, of length 1.

    Raises:
        NothingShared: When there are none.
    """
    from sklearn.preprocessing import normalize  # noqa: PLC0415

    _, vectors = _count([folded(text[:MAX_CHARS]) for text in texts])
    return normalize(vectors)


def _count(texts: list[str]) -> tuple[list[Any], Any]:
    """Learn both blocks' features of folded texts, and weigh them: `(texts, features)`.

    Raises:
        NothingShared: When there are none.
    """
    from scipy.sparse import hstack  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

    counted = [
        TfidfVectorizer(
            analyzer=features_of,
            sublinear_tf=True,
            min_df=min(least, len(texts)),
            max_features=most,
            dtype=np.float32,
        )
        for features_of, least, most in zip(BLOCKS, _MIN_OCCURRENCES, _MAX_FEATURES, strict=True)
    ]
    try:
        vectors = hstack([each.fit_transform(texts) for each in counted]).tocsr()
    except ValueError as err:  # what sklearn raises for an empty vocabulary
        raise NothingShared from err
    return counted, vectors.astype(np.float32)


def _columns(counted: list[Any]) -> tuple[dict[str, int], ...]:
    """Number the features of all blocks one after the other, as `_count` stacked them."""
    columns, start = [], 0
    for each in counted:
        columns.append({name: start + int(column) for name, column in each.vocabulary_.items()})
        start += len(columns[-1])
    return tuple(columns)
