"""Whether it is the model that fails, or the text: a plain question tells.

A model that cannot answer that one is broken, and no job of its batch is to blame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from smallfirst.jobs import Problem
from smallfirst_workers.engines import FAILED, Asked, Engine, Portion
from smallfirst_workers.errors import ModelBroken, WorkerError

#: Short, in plain words, and about nothing: every model that works at all can read it.
PLAIN_TEXT = "Where is my parcel? It was to come on Monday."


def answers_of(model: str, engine: Engine, asked: Sequence[Asked]) -> Iterator[Portion]:
    """Ask an engine, and a plain question besides as soon as it fails on something.

    Args:
        model: Its name, for errors.
        engine: To be asked.
        asked: The questions of a batch.

    Raises:
        ModelBroken: When it fails on the plain question too.
    """
    try:
        for portion in engine.answer(asked):
            if any(_is_failure(answer) for answer in portion.done.answers):
                check_well(model, engine, asked[portion.places[0]])
            yield portion
    except WorkerError:
        raise
    except Exception:
        check_well(model, engine, asked[0])
        raise


def check_well(model: str, engine: Engine, like: Asked) -> None:
    """See that a model answers a plain question of the same task.

    Raises:
        ModelBroken: When it does not.
    """
    plain = replace(like, text=PLAIN_TEXT, explain=False, known=(), seconds_left=None)
    try:
        answers = [one for portion in engine.answer([plain]) for one in portion.done.answers]
    except WorkerError:
        raise
    except Exception as err:
        raise ModelBroken(model, type(err).__name__) from err
    if any(_is_failure(answer) for answer in answers):
        raise ModelBroken(model, FAILED)


def _is_failure(answer: object) -> bool:
    return isinstance(answer, Problem) and answer.code == FAILED
