"""A script between a parent and its child: the child shall not outlive the parent.

It asks Linux to kill this process when the parent dies, and then becomes the child.
A process of its own, because the alternative (`preexec_fn`) may deadlock in a parent that has
threads. It imports nothing of the package, so it costs a few milliseconds. On systems other than
Linux it does nothing: there, a parent killed with SIGKILL leaves its children behind.

    python -I -S tether.py PARENT_PID SIGNAL COMMAND...
"""

import os
import sys

#: From <sys/prctl.h>: the signal this process gets when the thread that started it dies.
_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent_pid: int, signal_number: int) -> None:
    import ctypes  # noqa: PLC0415 - other systems need not have it

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent_pid:  # The parent died before the kernel was asked.
        raise SystemExit(1)


def main() -> None:
    """Tie this process to its parent and become the command."""
    parent_pid, signal_number, *command = sys.argv[1:]
    if sys.platform == "linux":
        _die_with_parent(int(parent_pid), int(signal_number))
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise SystemExit(f"{command[0]}: {error.strerror}") from error


if __name__ == "__main__":
    main()
