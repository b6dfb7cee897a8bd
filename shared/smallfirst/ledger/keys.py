"""Every Redis key there is, declared once.

A fleet's jobs are spread over its slices, each a ledger of its own. All keys of one slice begin
with `{ns:N}`, written `{slice}` below: a hash tag, so that a Redis Cluster keeps them in one slot,
where a script may touch several. Celery's keys belong to no slice.

Key, type, bound, writer; content:

    {slice}:slices                     string; one number; router
        How many slices the fleet has, so that whoever was told another number notices.
    {slice}:producers                  hash; the producers there are; administrators, router
        The producers by name, each with its weight (JSON); `default` is there without being in it.
    {slice}:jobs:{producer}            stream; the producer's limit; the producer
        One producer's submissions: `job` (JSON), or `cancel` (an id), never both. Those whose pool
        is full stay, pending with the consumer `waiting:{pool}:{priority}`, which holds no lease.
        Where an administrator cancels a copy, `@shadow` has one for a moment, ten minutes at most.
    {slice}:submissions:{producer}     hash; four numbers; settle.lua, count_destroyed.lua
        How many submissions were settled, and how many were destroyed unsettled, and when.
    {slice}:escalations                stream; the jobs in flight; workers
        Jobs that a step was not sure of: `producer`, `id`, `job`, `slip`.
    {slice}:pools                      set; the pools that have backlogs; router
        Whose backlogs are there, those of pools among them that the catalogue has no longer.
    {slice}:backlog:{pool}:{priority}  stream; `max_backlog_jobs`; router
        Jobs waiting for a pool, and in its hands: `producer`, `id`, `job`, `slip`.
    {slice}:job:{producer}:{id}        hash; TTL `job_ttl`, then `result_ttl`; settle.lua
        Where a job in flight is, and who waits for it; when it has ended, its status and the
        fingerprint by which a repeat is known. For ten minutes, the result (JSON) of a job that was
        cancelled before it came.
    {slice}:due                        zset; TTL `job_ttl`; settle.lua, take_due.lua
        The jobs in flight, `{producer}:{id}`, by deadline, in Redis's milliseconds; those that wait
        for a person, by the end of that wait.
    {slice}:review:{task}              zset; the jobs of its backlogs; settle.lua
        The jobs of a task that wait for a person, or are in a person's hands: `{priority}:{entry}`,
        by when their wait ends, in Redis's milliseconds.
    {slice}:skipped:{task}:{person}    set; TTL an hour; lease.lua
        What a person passed over, so that it is not offered again at once.
    {slice}:decisions                  hash; TTL `job_ttl`; decide.lua
        What persons decided and may undo still, by `{stream} {entry}` (JSON).
    {slice}:decided                    zset; TTL `job_ttl`; decide.lua
        The same by when each becomes final, in Redis's milliseconds.
    {slice}:earlier:{task}:{priority}:{entry}  hash; three fields, TTL; ask_another.lua
        What persons decided on a job that waits for another person, by person (JSON), until a day
        after its wait; under `@pair` whether it was noted that two have answered.
    {slice}:answered:{task}:{person}   zset; the jobs of its backlogs, TTL 31 days; ask_another.lua
        What a person has answered and another is asked, as in `review`: hidden from that person.
    {slice}:pairs:{task}               stream; MAXLEN `MAX_PAIRS`, TTL 92 days; ask_another.lua
        What two people answered of one job (JSON), as labels or hashes, without a text.
    {slice}:audit:{task}               hash; a dozen fields, TTL 35 days; settle.lua, desks
        Of a task's blind checks: how many were drawn and dropped, the bytes of those that wait, and
        what is said of the error (JSON).
    {slice}:audit:{task}:{series}      hash; a field a stratum, TTL 35 days; settle.lua
        How many answers were accepted under one promise, by step and stratum of confidence.
    {slice}:audited:{task}             stream; MAXLEN `MAX_RECORDS`, TTL 35 days; record_check.lua
        How each blind check ended (JSON), or that a second person is asked, without a text.
    {slice}:shadowing:{task}:{series}  zset; 64 jobs, 4 MB of copies, TTL `job_ttl`; copy_jobs.lua
        The jobs of which a candidate in shadow has a copy and whose pair is not counted yet,
        `{bytes}:{submitted}:{hash of its text}:{producer}:{id}`, by when each was copied, in ms.
    {slice}:shadow:{task}:{series}     hash; two dozen fields, TTL 35 days; count_pair.lua
        How many jobs were copied for a candidate, and left out, and how these and their copies
        ended, by what both cascades are.
    {slice}:shadowed:{copy}            string; TTL as long as a check waits; count_pair.lua
        What a candidate in shadow said of a job that people may check blind (JSON).
    {slice}:judgement:{copy}           string; TTL two hours; desks, routers
        What a person said of a job that a candidate in shadow may have been asked about (JSON).
    {slice}:judged:{task}:{series}     hash; 20,000 fields, TTL 35 days; desks, routers
        What both cascades are by a person's answer, by the hashes of texts.
    {slice}:drift                      hash; the tasks, TTL ten minutes; routers
        Of each task whose jobs have drifted, where something is done then: under which promise, and
        since when (JSON). `smallfirst drift --restart` puts in its place when it was ended, so that
        a judgement that began before does not bring it back.
    {slice}:drift:judge                string; TTL a minute; routers
        That somebody judges whether jobs have drifted; in the first slice alone.
    {slice}:history:{task}             stream; MAXLEN 145, 4 kB an entry, TTL 2 days; desks
        What stood in the books of all slices for a task at the end of every ten minutes (JSON), by
        that end in Redis's milliseconds; in the first slice alone.
    {slice}:reviewers:{date}           hash; a field a task, person and hour, TTL 3 days; desks
        How many jobs each person decided on, by pseudonym: `{task}:{person}:{hour}` (UTC).
    {slice}:seen:{producer}:{entry}    string; TTL `job_ttl`; router
        When an entry whose id claims the future was first read, in ms, until it is settled.
    {slice}:result:{producer}:{id}     string; TTL `result_ttl`; settle.lua
        The job's one result (JSON).
    {slice}:results:{producer}:{reply_to}  channel; nothing is kept; settle.lua
        The ids, line by line, of results that one client of a producer waits for.
    {slice}:dead                       stream; MAXLEN `max_dead`; settle.lua
        Dead letters: reason, size and hash, never text.
    {slice}:dead:{entry}               string; TTL `dead_ttl`, `max_dead_bytes` in all; settle.lua
        The raw submission behind a dead letter, for replay.
    {slice}:dead:kept                  stream; MAXLEN `max_dead`, TTL `dead_ttl`; settle.lua
        The `bytes` of each raw submission that is kept, under its letter's entry.
    {slice}:dead:bytes                 string; TTL `dead_ttl`; settle.lua
        The bytes of all raw submissions that are kept.
    {slice}:dead:written               string; TTL `dead_ttl`; settle.lua
        How many dead letters were written, those among them that are kept no longer.
    {slice}:workers:{pool}             zset; trimmed, TTL; beat.lua
        Live workers by last heartbeat, in Redis's milliseconds.
    {slice}:end:{host}/{pid}           string; TTL an hour; workers, the local supervisor
        How a worker's last failed batch, or its process, ended: an error's name, an exit code.
    {slice}:booked:{date}              hash; TTL 35 days; settle.lua, workers, routers
        What attempts came to, `{task}:{step}:{outcome}:{kind}`: jobs, seconds, cost, tokens, those
        of them that were written, joules and the seconds in which they were metered; and of those
        asked after another step: how many were compared, changed, judged, better, worse. In the
        first slice what no job took of workers and routers, `@{pool}::{use}:{unit}`.
    {slice}:booked:{date}:seen         hash; TTL 35 days; workers, routers
        In the first slice: what jobs of tasks with a promise were like,
        `{task}:{promise}:{what}:{step}:{bin}`: how many texts were so long and how many attempts so
        sure, were accepted or escalated, and gave each label.
    {slice}:booked:{date}:seen:{hour}  hash; TTL 25 hours; workers, routers
        The same of one hour, 00 to 23.
    {slice}:log                        stream; `MAX_RECORDS` of records.lua; settle.lua
        Where the fleet keeps an audit log: the record of each result (JSON, without a text) with
        its `salt`, `producer` and `id`, until the log's keeper has taken it up.
    {slice}:log:lost                   hash; one number; settle.lua
        How many results have no record, since nobody took records up for too long.
    {slice}:log:head                   string; one checkpoint; the log's keeper
        The last checkpoint of the audit log, so that an older copy of its folder is known as one;
        in the first slice alone.
    {ns}:celery:*                   Celery's own; two batches a worker; Celery
        Two short lists per pool, the messages held unstarted, bindings.

The blind checks of a task wait like the jobs of one that is called `@blind.{task}`: in
`{slice}:backlog:@people.@blind.{task}:bulk`, whose TTL is as long as a check is kept.

The job's text stands in one place at a time: in the entry of the stream that the job is in, and
where its answer is checked blind, in that of the check until it ends. A dead
letter keeps it apart from its reason, so that reasons can be listed without showing any text.

A job that is asked of a candidate in shadow has a copy, text and all, which is in flight under a
hash of its producer and id as a job of the producer `@shadow`, for ten minutes at most. Its result
goes as soon as it was compared.

An id is a producer's own: two producers may use the same one for different jobs. What a producer
may read or write bears its name, so that rules of Redis's keep it from everybody else's.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from smallfirst.jobs import Priority
from smallfirst.people import PEOPLE, checks_of, people_of, task_of_people

#: The consumer group of the two streams that triage reads, and of every pool's backlog.
ROUTER_GROUP, POOL_GROUP = "router", "pool"
#: Under this name the routers themselves say that they live; no pool can have it.
ROUTERS = "@router"
#: The consumer in whose name entries wait between dispatch and a worker's claim.
QUEUE_CONSUMER = "queue"
#: The consumer in whose name jobs are whose answer a person gave, until it is final.
DECIDED_CONSUMER = "decided"
#: How the consumers begin in whose names submissions wait for a backlog to have room.
WAITING_PREFIX = "waiting:"
#: Celery's priority of a batch by that of the job that leads it: the lower is taken first.
MESSAGE_PRIORITIES = {Priority.INTERACTIVE: 0, Priority.BULK: 9}
#: What stands between a queue's name and a priority in the name of a list, but for priority 0.
PRIORITY_SEPARATOR = ":"


#: What stands for the slice in patterns that match the keys of every one.
EVERY_SLICE = "*"


def date_of(now_ms: int) -> str:
    """The day (UTC, as YYYY-MM-DD) of one moment of Redis's clock."""
    return f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%d}"


def hour_of(now_ms: int) -> str:
    """The hour (UTC, as 00 to 23) of one moment of Redis's clock."""
    return f"{datetime.fromtimestamp(now_ms / 1000, UTC):%H}"


@dataclass(frozen=True)
class Keys:
    """The keys of one slice of a fleet, and the fleet's own of Celery.

    Several fleets may share a Redis under different namespaces.
    """

    namespace: str = "sf"
    slice: int | str = 0

    @property
    def tag(self) -> str:
        """What stands before every key of the slice."""
        return f"{{{self.namespace}:{self.slice}}}"

    @property
    def num_slices(self) -> str:
        """How many slices the fleet has."""
        return f"{self.tag}:slices"

    @property
    def pools(self) -> str:
        """The pools that have backlogs."""
        return f"{self.tag}:pools"

    @property
    def producers(self) -> str:
        """The producers there are, but for `default`."""
        return f"{self.tag}:producers"

    def of_producer(self, producer: str) -> "ProducerKeys":
        """The keys of one producer; of every producer by a pattern, `*`."""
        return ProducerKeys(self.tag, producer)

    def producer_of(self, stream: str) -> str | None:
        """Name the producer that a stream holds the submissions of; None where it holds others."""
        before = self.of_producer("").jobs
        return stream.removeprefix(before) if stream.startswith(before) else None

    @property
    def escalations(self) -> str:
        """The stream by which workers hand a job back to the router.

        Apart from submissions, so that a producer cannot forge a trail and needs no right to write
        here.
        """
        return f"{self.tag}:escalations"

    @property
    def dead(self) -> str:
        """The dead letters."""
        return f"{self.tag}:dead"

    def backlog(self, pool: str, priority: Priority) -> str:
        """The jobs of one priority that wait for a pool; pending entries are the work in hand."""
        return f"{self._before_pool}{pool}:{priority}"

    def backlogs(self, pool: str) -> dict[Priority, str]:
        """Both of a pool's backlogs, the more urgent first."""
        return {priority: self.backlog(pool, priority) for priority in Priority}

    def backlogs_of(self, pool: str) -> str:
        """A pattern that the keys of a pool's backlogs match; of every pool's by `*`."""
        return f"{self._before_pool}{pool}:*"

    def pool_of(self, stream: str) -> str | None:
        """Name the pool that a stream is a backlog of; None where it is no backlog."""
        pool, _, priority = stream.removeprefix(self._before_pool).partition(":")
        is_backlog = stream.startswith(self._before_pool) and pool and priority
        return pool if is_backlog else None

    def waiting_for(self, backlog: str) -> str:
        """The consumer in whose name submissions wait for a backlog to have room."""
        return f"{WAITING_PREFIX}{backlog.removeprefix(self._before_pool)}"

    def awaited_by(self, consumer: str) -> str:
        """The backlog that such a consumer waits for; it may be one that is not there any more."""
        return f"{self._before_pool}{consumer.removeprefix(WAITING_PREFIX)}"

    def priority_of(self, stream: str) -> Priority:
        """Say of which priority the jobs of a backlog are.

        Raises:
            ValueError: When the stream is no backlog.
        """
        return Priority(stream.removeprefix(self._before_pool).partition(":")[2])

    @property
    def _before_pool(self) -> str:
        return f"{self.tag}:backlog:"

    @property
    def due(self) -> str:
        """The jobs in flight by their deadlines."""
        return f"{self.tag}:due"

    def people(self, task: str) -> dict[Priority, str]:
        """Both backlogs where a task's jobs wait for a person, the more urgent first."""
        return self.backlogs(people_of(task))

    def task_of(self, stream: str) -> str | None:
        """Name the task whose jobs wait for a person in a stream; None where it is another."""
        return task_of_people(self.pool_of(stream))

    def review(self, task: str) -> str:
        """The jobs of a task that wait for a person, by when that ends."""
        return f"{self.tag}:review:{task}"

    def skipped(self, task: str, person: str) -> str:
        """What a person passed over lately."""
        return f"{self.tag}:skipped:{task}:{person}"

    @property
    def decisions(self) -> str:
        """What persons decided, until it is final."""
        return f"{self.tag}:decisions"

    @property
    def decided(self) -> str:
        """When each decision becomes final."""
        return f"{self.tag}:decided"

    def earlier(self, task: str, priority: str, entry: str) -> str:
        """What persons decided on a job that waits for another person."""
        return f"{self.tag}:earlier:{task}:{priority}:{entry}"

    def earlier_of(self, stream: str, entry: str) -> str:
        """The same, by where the job is."""
        task, _, priority = stream.removeprefix(f"{self._before_pool}{PEOPLE}").partition(":")
        return self.earlier(task, priority, entry)

    def answered(self, task: str, person: str) -> str:
        """What a person has answered, and another is asked."""
        return f"{self.tag}:answered:{task}:{person}"

    def pairs(self, task: str) -> str:
        """What two people answered of each job that asks for two."""
        return f"{self.tag}:pairs:{task}"

    @property
    def no_result(self) -> str:
        """A result that nobody ever has: no job has an empty id."""
        return self.of_producer("").result("")

    def checks(self, task: str) -> str:
        """The blind checks of a task that wait for people, or are in people's hands."""
        return self.people(checks_of(task))[Priority.BULK]

    def audit(self, task: str) -> str:
        """What is known of a task's blind checks."""
        return f"{self.tag}:audit:{task}"

    def accepted(self, task: str, series: str) -> str:
        """How many answers were accepted under one promise."""
        return f"{self.audit(task)}:{series}"

    def audited(self, task: str) -> str:
        """How each blind check of a task ended."""
        return f"{self.tag}:audited:{task}"

    def shadowing(self, candidate: str, series: str) -> str:
        """The jobs that a candidate has a copy of, and whose pair is not counted yet."""
        return f"{self.tag}:shadowing:{candidate}:{series}"

    def shadow(self, candidate: str, series: str) -> str:
        """What is counted of a candidate in shadow."""
        return f"{self.tag}:shadow:{candidate}:{series}"

    def shadowed(self, copy_id: str) -> str:
        """What a candidate said of a job that people may check."""
        return f"{self.tag}:shadowed:{copy_id}"

    def judgement(self, copy_id: str) -> str:
        """What a person said of a job that a candidate may have been asked about."""
        return f"{self.tag}:judgement:{copy_id}"

    def judged(self, candidate: str, series: str) -> str:
        """What both cascades are by a person's answer, by the hashes of texts."""
        return f"{self.tag}:judged:{candidate}:{series}"

    @property
    def drift(self) -> str:
        """Which tasks' jobs have drifted, where something is done then."""
        return f"{self.tag}:drift"

    @property
    def drift_judge(self) -> str:
        """That somebody judges whether jobs have drifted."""
        return f"{self.drift}:judge"

    def history(self, task: str) -> str:
        """What stood in a task's books, ten minutes after ten minutes."""
        return f"{self.tag}:history:{task}"

    def reviewers(self, date: str) -> str:
        """How much each person decided on one day (UTC, as YYYY-MM-DD)."""
        return f"{self.tag}:reviewers:{date}"

    def dead_raw(self, entry: str) -> str:
        """The raw submission behind one dead letter."""
        return f"{self.dead}:{entry}"

    @property
    def dead_kept(self) -> str:
        """Which raw submissions are kept, the oldest first."""
        return f"{self.dead}:kept"

    @property
    def dead_bytes(self) -> str:
        """How many bytes these have together."""
        return f"{self.dead}:bytes"

    @property
    def dead_written(self) -> str:
        """How many dead letters were written; it begins anew after a while without any."""
        return f"{self.dead}:written"

    @property
    def log(self) -> str:
        """The records that the audit log's keeper has not taken up yet."""
        return f"{self.tag}:log"

    @property
    def log_lost(self) -> str:
        """How many results have no record."""
        return f"{self.log}:lost"

    @property
    def log_head(self) -> str:
        """The last checkpoint of the audit log."""
        return f"{self.log}:head"

    def workers(self, pool: str) -> str:
        """The live workers of a pool."""
        return f"{self.tag}:workers:{pool}"

    def end(self, process: str) -> str:
        """How a process, named by host and process id, or its last failed batch ended."""
        return f"{self.tag}:end:{process}"

    def booked(self, date: str) -> str:
        """What was spent on one day (UTC, as YYYY-MM-DD)."""
        return f"{self.tag}:booked:{date}"

    def seen(self, date: str, hour: str = "") -> str:
        """What jobs were like on one day (UTC, as YYYY-MM-DD), or in one hour of it (as 00)."""
        return f"{self.booked(date)}:seen{':' if hour else ''}{hour}"

    def seen_at(self, now_ms: int) -> tuple[str, str]:
        """What jobs were like on the day, and in the hour, of one moment of Redis's clock."""
        date = date_of(now_ms)
        return self.seen(date), self.seen(date, hour_of(now_ms))

    def booked_at(self, now_ms: int) -> str:
        """What was spent on the day of one moment of Redis's clock."""
        return self.booked(date_of(now_ms))

    @property
    def celery_prefix(self) -> str:
        """What stands before every key of Celery's."""
        return f"{self.namespace}:celery:"

    def queue(self, pool: str, priority: Priority) -> str:
        """The Celery list of a pool's batches, published and not yet taken by a worker.

        The priority is that of the job that leads a batch. The name is as kombu makes it.
        """
        number = MESSAGE_PRIORITIES[priority]
        return f"{self.celery_prefix}{pool}" + (f"{PRIORITY_SEPARATOR}{number}" if number else "")

    def queues(self, pool: str) -> dict[Priority, str]:
        """Both lists of a pool, the more urgent first."""
        return {priority: self.queue(pool, priority) for priority in Priority}

    def unacked(self, pool: str) -> str:
        """The hash of the messages that the pool's workers hold and have not started."""
        return f"{self.celery_prefix}unacked:{pool}"

    def unacked_index(self, pool: str) -> str:
        """The zset beside that hash, by when each message was taken."""
        return f"{self.celery_prefix}unacked_index:{pool}"


@dataclass(frozen=True)
class ProducerKeys:
    """The keys of one producer in one slice. No other producer's user may name any of them."""

    tag: str
    producer: str

    @property
    def jobs(self) -> str:
        """The stream of its submissions, and the only key that it writes."""
        return f"{self.tag}:jobs:{self.producer}"

    @property
    def submissions(self) -> str:
        """How many of its submissions were settled, and destroyed."""
        return f"{self.tag}:submissions:{self.producer}"

    def job(self, job_id: str) -> str:
        """Where a job in flight is."""
        return f"{self.tag}:job:{self.producer}:{job_id}"

    def first_seen(self, entry: str) -> str:
        """When an entry of the stream was first read, whose id claims the future."""
        return f"{self.tag}:seen:{self.producer}:{entry}"

    def result(self, job_id: str) -> str:
        """The one result of a job."""
        return f"{self.tag}:result:{self.producer}:{job_id}"

    def results(self, reply_to: str) -> str:
        """The channel that tells one of its clients which results are there."""
        return f"{self.tag}:results:{self.producer}:{reply_to}"
