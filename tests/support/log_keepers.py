"""A keeper of the audit log that is killed again and again, and what its log must hold then."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from redis import Redis

from smallfirst.agreement.answer_keys import answer_key
from smallfirst.answers import UnknownAnswer
from smallfirst.audit_log.index import Index
from smallfirst.audit_log.notes import VerifierKey, make_key
from smallfirst.audit_log.tiles import Tiles
from smallfirst.audit_log.verifying import verify
from smallfirst.jobs import Result
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.records import AuditRecord, ResultRecord, VoidRecord, read_record, salted

#: Seconds that one keeper lives.
LIVES = (4.0, 12.0)


class StruckKeeper:
    """Keeps the log of a fleet by one process after the other, each ended by SIGKILL.

    Args:
        redis_url: Of the fleet, by a link that is never struck.
        folder: For the log and its key.
        seed: Of the dice.
    """

    def __init__(self, redis_url: str, folder: Path, seed: int) -> None:
        folder.mkdir()
        self.log = folder / "log"
        self._url, self._dice = redis_url, random.Random(seed)
        self.key = make_key("example.com/chaos", folder / "key").verifier
        self._environment = {
            **os.environ,
            "SMALLFIRST_REDIS_URL": redis_url,
            "SMALLFIRST_AUDIT_LOG": str(self.log),
            "SMALLFIRST_AUDIT_LOG_KEY": str(folder / "key"),
            "SMALLFIRST_AUDIT_LOG_SECONDS": "0.2",
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.num_killed = 0

    def start(self) -> None:
        """Open the log before anything is submitted; then strike."""
        with Redis.from_url(self._url) as redis:
            RecordStream(redis, Keys()).open()
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            keeper = self._keeper()
            self._stop.wait(self._dice.uniform(*LIVES))
            keeper.kill()
            keeper.wait()
            self.num_killed += 1

    def _keeper(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "smallfirst.audit_log"], env=self._environment
        )

    def close(self) -> None:
        """Strike no more; have the last one take up what waits and go."""
        self._stop.set()
        self._thread.join()
        with Redis.from_url(self._url) as redis, self._keeper() as last:
            stream = RecordStream(redis, Keys())
            while stream.num_waiting and last.poll() is None:
                threading.Event().wait(0.1)
            assert not stream.num_waiting, "the last keeper ended before it took everything up"
            last.terminate()
            # It may have been told before it listened to signals.
            assert last.wait(30) in {0, -signal.SIGTERM}
            stream.close()


def check_log(log: Path, key: VerifierKey, results: Iterable[Result]) -> None:
    """Check that a log is whole, and has one record of each of these results, which says the same.

    Raises:
        AssertionError: When it does not.
    """
    signed, breaks = verify(log, key)
    assert signed is not None
    assert not breaks, breaks[:3]
    records = [read_record(raw) for raw in Tiles(log, signed.size).entries()]
    void = {(each.slice, each.of) for each in records if isinstance(each, VoidRecord)}
    with Index(log) as index:
        for result in results:
            rows = {row.number: row.salt for row in index.find("default", result.id)}
            told = {number: records[number] for number in rows}
            standing = [n for n, each in told.items() if (each.slice, each.entry) not in void]
            assert len(standing) == 1, f"{len(standing)} records of {result.id}"
            _compare(result, told[standing[0]], rows[standing[0]])


def _compare(result: Result, record: AuditRecord, salt: bytes) -> None:
    assert isinstance(record, ResultRecord)
    known = None if isinstance(result.answer, UnknownAnswer) else result.answer
    answer = None if known is None else salted(salt, "answer", answer_key(known))
    says = (record.status, record.tier, record.answer, record.num_attempts)
    assert says == (result.status, result.tier, answer, len(result.trail)), result.id
