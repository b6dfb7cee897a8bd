"""Links to break: a TCP proxy before Redis, and a fleet each of whose processes has its own.

A link can be cut, frozen, slow, or forgotten: half-open, the other side gone and nobody saying so.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.versions import REPOSITORY, path_of

from smallfirst.local.fleet import LocalFleet

_CHUNK_BYTES = 65_536


class Link:
    """A TCP proxy on a port of its own; everything passes until it is told otherwise.

    Args:
        port: Where it leads to, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._open: dict[asyncio.StreamWriter, asyncio.Event] = {}
        self._is_cut = False
        self._delay_seconds = 0.0
        self._flows, self._ends = asyncio.Event(), asyncio.Event()
        self._flows.set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._call(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._call(self._cut())

    def freeze(self) -> None:
        """Let nothing through, and close nothing."""
        self._call(self._freeze())

    def forget(self) -> None:
        """Swallow what is said on every connection there is, for good; new ones work."""
        self._call(self._forget())

    def slow_down(self, round_trip_seconds: float) -> None:
        """Hold back each piece of data for half of this, each way."""
        self._delay_seconds = round_trip_seconds / 2

    def mend(self) -> None:
        """Let everything pass again; what was held back arrives late."""
        self._delay_seconds = 0.0
        self._call(self._mend())

    @property
    def num_connections(self) -> int:
        """How many connections are open."""
        return len(self._open) // 2

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        self._server.close()
        self._flows.set()
        self._ends.set()
        await self._cut()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    async def _cut(self) -> None:
        self._is_cut = True
        for writer in list(self._open):
            writer.transport.abort()

    async def _freeze(self) -> None:
        self._flows.clear()

    async def _forget(self) -> None:
        for is_forgotten in self._open.values():
            is_forgotten.set()

    async def _mend(self) -> None:
        self._is_cut = False
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        is_forgotten = asyncio.Event()
        self._open |= {writer: is_forgotten, far_writer: is_forgotten}
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(reader, far_writer, is_forgotten))
                ways.create_task(self._carry(far_reader, writer, is_forgotten))
        finally:
            for each in (writer, far_writer):
                del self._open[each]
                each.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, forgotten: asyncio.Event
    ) -> None:
        """Carry one way, until it ends."""
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await asyncio.sleep(self._delay_seconds)
                await self._flows.wait()
                if not forgotten.is_set():
                    writer.write(data)
                    await writer.drain()
        if forgotten.is_set():
            await self._ends.wait()
        writer.transport.abort()


class LinkedFleet(LocalFleet):
    """A local fleet whose routers and workers reach Redis by a link of their own each.

    Args:
        catalogue_path: What the fleet serves.
        folder: For Redis's data and logs.
        worker_module: What runs in the place of a worker.
        roots: Where the version stands that a child is of, by the child's name; today's if not.
        options: Of the local fleet.
    """

    def __init__(
        self,
        catalogue_path: Path,
        folder: Path,
        *,
        worker_module: str = "",
        roots: Mapping[str, Path] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        super().__init__(catalogue_path, folder, flower=False, **options)
        self._worker_module = worker_module
        self._roots = roots
        #: By the child's name, such as `worker-cpu-small-1`.
        self.links: dict[str, Link] = {}

    def stop(self) -> None:
        """Stop the fleet, then its links."""
        super().stop()
        while self.links:
            self.links.popitem()[1].__exit__(None, None, None)

    def _start(
        self,
        opening: ExitStack,
        part: str,
        children: list[str],
        module: tuple[str, ...],
        *rest: Any,
        **options: Any,
    ) -> None:
        if module == ("smallfirst_workers",) and self._worker_module:
            module = (self._worker_module,)
        super()._start(opening, part, children, module, *rest, **options)

    def environment_of(self, child: str) -> dict[str, str]:
        """Let every process find these modules."""
        found = super().environment_of(child)
        version = path_of(self._roots[child]) if child in self._roots else ""
        paths = (version, str(REPOSITORY), found.get("PYTHONPATH", ""))
        return found | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def redis_url_of(self, child: str) -> str:
        """Lead each process by a link of its own."""
        port = urlsplit(self.redis_url).port
        assert port is not None
        self.links[child] = Link(port).__enter__()
        return f"redis://127.0.0.1:{self.links[child].port}/0"
