"""Trains one model: `python -m smallfirst_workers.training`, the plan as JSON on stdin.

Prints what came of it as JSON on stdout; progress and errors go to stderr.
"""

import dataclasses
import json
import os
import sys
from importlib.util import find_spec

from smallfirst.errors import CatalogueError, SettingsError, SmallfirstError
from smallfirst.settings import WorkerSettings, load_settings
from smallfirst.telemetry.logs import configure_logs
from smallfirst.training_plan import TrainingPlan
from smallfirst_workers.errors import WorkerError

#: Exit codes, those of the command line: not done, wrong usage, interrupted.
FAILED, USAGE, INTERRUPTED = 1, 2, 130
#: What training needs beyond what serving does.
_NEEDED = ("torch", "transformers", "accelerate", "sklearn")


def main() -> int:
    """Train as the plan says; return the exit status."""
    try:
        return _train(TrainingPlan.model_validate_json(sys.stdin.buffer.read()))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (CatalogueError, SettingsError) as error:
        return _fail(error, USAGE)
    except (SmallfirstError, WorkerError) as error:
        return _fail(error, FAILED)


def _train(plan: TrainingPlan) -> int:
    missing = next((name for name in _NEEDED if find_spec(name) is None), None)
    if missing:
        return _fail(f"{missing} is not installed: pip install 'smallfirst[train]'", FAILED)
    # Set before torch is there: word pieces are found in the same order by one thread only, and no
    # hub is asked for anything.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    settings = load_settings(WorkerSettings, pool="training")
    configure_logs(settings.log_level, settings.log_format)
    from smallfirst_workers.training.workspace import lay_out  # noqa: PLC0415 - the extra

    # Whoever's rows are wrong is told before seconds go by with torch.
    bench = lay_out(plan, settings.cache_dir)
    from smallfirst_workers.training.training import train  # noqa: PLC0415 - the same

    trained = train(bench)
    facts = dataclasses.asdict(trained) | {"folder": str(trained.folder)}
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


def _fail(error: object, status: int) -> int:
    sys.stderr.write(f"smallfirst: {error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
