"""Trains one model: `python -m smallfirst_workers.training`, the plan as JSON on stdin.

Prints what came of it as JSON on stdout; progress and errors go to stderr. Where it would take
longer than the plan allows, it ends with a status of its own, and says on stdout how long.
"""

import dataclasses
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from smallfirst.errors import CatalogueError, SettingsError, SmallfirstError
from smallfirst.process.training_plan import TOO_LONG, Method, TrainingPlan
from smallfirst.settings import WorkerSettings, load_settings
from smallfirst.telemetry.logs import configure_logs
from smallfirst_workers.errors import TooLongError, WorkerError
from smallfirst_workers.training.trained import Trained

#: Exit codes, those of the command line: not done, wrong usage, interrupted.
FAILED, USAGE, INTERRUPTED = 1, 2, 130
#: What training needs beyond what serving does.
_NEEDED = ("torch", "transformers", "accelerate", "sklearn")
#: What a linear model needs.
_NEEDED_BY_LINEAR = ("sklearn",)


def main() -> int:
    """Train as the plan says; return the exit status."""
    try:
        return _train(TrainingPlan.model_validate_json(sys.stdin.buffer.read()))
    except KeyboardInterrupt:
        return INTERRUPTED
    except TooLongError as error:
        sys.stdout.write(json.dumps({"needed": error.needed}) + "\n")
        return _fail(error, TOO_LONG)
    except (CatalogueError, SettingsError) as error:
        return _fail(error, USAGE)
    except (SmallfirstError, WorkerError) as error:
        return _fail(error, FAILED)


def _train(plan: TrainingPlan) -> int:
    is_linear = plan.method is Method.LINEAR
    needed = _NEEDED_BY_LINEAR if is_linear else _NEEDED
    missing = next((name for name in needed if find_spec(name) is None), None)
    if missing:
        return _fail(f"{missing} is not installed: pip install 'smallfirst[train]'", FAILED)
    # Set before torch is there: word pieces are found in the same order by one thread only, and no
    # hub is asked for anything.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    settings = load_settings(WorkerSettings, pool="training")
    configure_logs(settings.log_level, settings.log_format)
    trained = _linear(plan) if is_linear else _encoder(plan, settings.cache_dir)
    facts = dataclasses.asdict(trained) | {"folder": str(trained.folder)}
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


def _linear(plan: TrainingPlan) -> Trained:
    from smallfirst_workers.training.linear_models import train_linear  # noqa: PLC0415 - the extra

    return train_linear(plan)


def _encoder(plan: TrainingPlan, cache: Path) -> Trained:
    from smallfirst_workers.training.workspace import lay_out  # noqa: PLC0415 - the extra

    # Whoever's rows are wrong is told before seconds go by with torch.
    bench = lay_out(plan, cache)
    from smallfirst_workers.training.training import train  # noqa: PLC0415 - the same

    return train(bench)


def _fail(error: object, status: int) -> int:
    sys.stderr.write(f"smallfirst: {error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
