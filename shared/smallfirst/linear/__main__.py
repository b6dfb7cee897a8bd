"""Trains the linear model of a task in a process of its own: `python -m smallfirst.linear CACHE`.

The task comes on standard input, as `TrainingOrder` has it. A process of its own, since training is
half a minute of one processor for thousands of examples, and whoever routes jobs has none to spare.
"""

import os
import sys
from pathlib import Path
from typing import Final

from smallfirst.errors import SmallfirstError
from smallfirst.linear.fitting import train
from smallfirst.linear.orders import TrainingOrder

#: Behind whoever routes jobs on the same processors.
_NICENESS: Final = 10


def main() -> int:
    """Train what standard input asks for; return the exit status."""
    os.nice(_NICENESS)
    order = TrainingOrder.model_validate_json(sys.stdin.buffer.read())
    try:
        train(order.name, order.task, Path(sys.argv[1]))
    except SmallfirstError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
