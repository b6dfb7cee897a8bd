"""The command line as a process of its own that has been imported before: forked, not started.

A command imports for a second and works for a tenth of one. Here one process imports all of them,
and each command line is run by a fork of it, with arguments, environment, folder and streams of its
own. What Python itself reads of the environment as it starts is the first process's.

As a module it is that process: it listens on the socket whose number it is given.
"""

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from smallfirst.cli import app
from smallfirst.cli.main import COMMANDS

#: The most bytes of a request: arguments and environment.
MOST = 1 << 20


class WarmCommands:
    """Runs command lines; to be closed."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self._address = str(Path(self._folder.name) / "socket")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self._address)
            listening.listen()
            command = [sys.executable, "-m", __name__, str(listening.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[listening.fileno()])

    def run(
        self, arguments: Sequence[str], stdin: str, environment: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command line to its end.

        Raises:
            TimeoutError: When it takes longer than a minute.
        """
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin.encode())
            given.seek(0)
            code = self._ask(arguments, environment, [each.fileno() for each in (given, out, err)])
            told = []
            for file in (out, err):
                file.seek(0)
                told.append(file.read().decode())
        return subprocess.CompletedProcess(list(arguments), code, *told)

    def close(self) -> None:
        """End the process; no command is under way."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def _ask(
        self, arguments: Sequence[str], environment: Mapping[str, str], streams: list[int]
    ) -> int:
        request = json.dumps([list(arguments), dict(environment), str(Path.cwd())]).encode()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(self._address)
            socket.send_fds(connection, [len(request).to_bytes(4)], streams)
            connection.sendall(request)
            pid, code = json.loads(connection.recv(100)), b""
            try:
                code = connection.recv(100)
            finally:
                if not code:
                    os.kill(pid, signal.SIGKILL)
        return int(json.loads(code))


def serve(listening: socket.socket) -> list[str]:
    """Answer requests; in the process that is to run one, return its arguments."""
    # Whoever has answered is waited for by nobody.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listening.accept()
        if os.fork():
            connection.close()
        else:
            listening.close()
            return answer(connection)


def answer(connection: socket.socket) -> list[str]:
    """Tell how a command ended; in the process that is to run it, return its arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as file:
        arguments, environment, folder = json.loads(file.read(int.from_bytes(size)))
    if not (pid := os.fork()):
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        return list(arguments)
    connection.sendall(json.dumps(pid).encode().ljust(100))
    _, status = os.waitpid(pid, 0)
    connection.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def main() -> None:
    """Import every command, then be asked for them."""
    for entry in COMMANDS.values():
        importlib.import_module(entry.target.partition(":")[0])
    # Else each fork would look through, and so copy, what it shares, as it ends.
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        arguments = serve(listening)
    sys.argv = ["smallfirst", *arguments]
    app(arguments, prog_name="smallfirst")


if __name__ == "__main__":
    main()
