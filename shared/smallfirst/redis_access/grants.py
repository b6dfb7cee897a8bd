"""What the work of each user takes in Redis: which commands, on which keys.

A test has every component work under its user without a refusal, and tries what it must not.

Redis 7 is needed: its selectors tie commands to keys (`+get` to results alone), and tell reading
from writing (`%R~`). Source: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

from dataclasses import dataclass

from smallfirst.ledger.keys import EVERY_SLICE, Keys, ProducerKeys
from smallfirst.people import checks_of, people_of
from smallfirst.redis_access.users import Role, is_user, pool_of, producer_of
from smallfirst.shadow.copies import SHADOW

#: What loads scripts; what they do is checked command by command.
_SCRIPTS = "script|load"


@dataclass(frozen=True)
class Grant:
    """Commands on keys, or on no key at all.

    Attributes:
        commands: As Redis names them, a subcommand behind a bar.
        keys: Patterns; `%R~` before one only lets it be read, `%W~` only written.
    """

    commands: str
    keys: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def rule(self) -> str:
        """One selector."""
        parts = [*(f"+{command}" for command in self.commands.split())]
        return f"({' '.join([*parts, *self.keys, *(f'&{each}' for each in self.channels)])})"


def grants(user: str, namespace: str) -> tuple[Grant, ...]:
    """What the work takes of one user: a role, `producer-NAME` or `worker-POOL`.

    Raises:
        ValueError: When nobody connects under this name.
    """
    keys = Keys(namespace, EVERY_SLICE)
    producer, pool = producer_of(user), pool_of(user)
    if producer is not None:
        return _of_producer(keys.of_producer(producer), keys.num_slices)
    if pool is not None:
        return _of_worker(keys, pool)
    if not is_user(user):
        raise ValueError(f"no user of a fleet: {user!r}")
    made = {
        Role.ROUTER: _of_router,
        Role.WORKER: _of_worker,
        Role.FLOWER: _of_flower,
        Role.SCALER: _of_scaler,
        Role.EXPORTER: _of_exporter,
        Role.DESK: _of_desk,
        Role.AUDIT_LOG: _of_audit_log,
    }
    return made[Role(user)](keys)


def _of_producer(own: ProducerKeys, num_slices: str) -> tuple[Grant, ...]:
    """Submits, waits for results, asks where a job is. Writes one stream and nothing else."""
    return (
        Grant("xadd", (f"%W~{own.jobs}",)),
        Grant("xlen xrange xrevrange", (f"%R~{own.jobs}",)),
        Grant("subscribe", channels=(own.results("*"),)),
        Grant("get mget", (f"%R~{own.result('*')}",)),
        Grant("hget", (f"%R~{own.job('*')}",)),
        Grant("get", (f"%R~{num_slices}",)),
    )


def _of_router(keys: Keys) -> tuple[Grant, ...]:
    """Reads what producers and workers hand in, decides, parks, publishes, recovers."""
    every = keys.of_producer("*")
    streams = (f"~{every.jobs}", f"~{keys.escalations}", f"~{keys.backlogs_of('*')}")
    unacked = (keys.unacked("*"), keys.unacked_index("*"))
    counted = f"~{every.submissions}"
    scripted = tuple(f"~{key('*')}" for key in (keys.booked, keys.workers))
    return (
        Grant(f"{_SCRIPTS} time multi exec"),
        Grant(
            "xgroup|create xgroup|delconsumer xreadgroup xlen xrange xpending xclaim xack xdel"
            " xinfo|consumers",
            streams,
        ),
        Grant("evalsha", (*streams, *scripted, f"~{keys.due}", f"~{keys.pools}", counted)),
        Grant("set get", (f"~{keys.num_slices}",)),
        Grant("sadd smembers srem", (f"~{keys.pools}",)),
        Grant("hgetall hset", (f"~{keys.producers}",)),
        Grant("xadd", (f"%W~{keys.backlogs_of('*')}", f"%W~{keys.escalations}")),
        # Of pools that are long gone; and to count what was deleted unread as never added.
        Grant("del xinfo|stream xsetid", (f"~{keys.backlogs_of('*')}",)),
        *_settling(keys),
        # An accepted answer is counted, and a check of it put where people's jobs are.
        _counting(keys, "hincrbyfloat"),
        Grant("pexpireat", (f"%W~{keys.checks('*')}", f"%W~{keys.review(checks_of('*'))}")),
        *_dropping_checks(keys),
        # Whether an audit has broken a promise.
        Grant("hmget", (f"%R~{keys.audit('*')}",)),
        # Whether jobs have drifted: what was counted of them, and what is said of it.
        Grant("hgetall", (f"%R~{keys.booked('*')}",)),
        Grant("set", (f"%W~{keys.drift_judge}",)),
        Grant("hgetall hset del expire", (f"~{keys.drift}",)),
        Grant("zadd zrangebyscore expire", (f"~{keys.due}",)),
        *_ending_for_people(keys),
        *_shadowing(keys),
        Grant("hincrby hmget hset", (counted,)),
        # An id may be taken, by a job or by a result; and a refusal takes none.
        Grant("del", (f"%W~{every.result('*')}", f"%W~{every.job('*')}")),
        Grant("hget", (f"%R~{every.job('*')}",)),
        # Submissions whose ids claim the future: since when they are known, and the mending.
        Grant("set get del", (f"~{every.first_seen('*')}",)),
        Grant("xinfo|stream", (f"%R~{every.jobs}",)),
        Grant("del", (f"%W~{every.jobs}",)),
        *_writing_letters(keys),
        *_beating(keys),
        Grant("llen lpush", (f"%W~{keys.celery_prefix}*",)),
        Grant("hlen del", tuple(f"%W~{key}" for key in unacked)),
        Grant("get", (f"%R~{keys.end('*')}",)),
        Grant("publish", channels=(f"{keys.celery_prefix}*",)),
    )


def _ending_for_people(keys: Keys) -> tuple[Grant, ...]:
    """What waits for a person, and what a person decided where no desk is there to end it."""
    return (
        Grant("zadd zrem expire", (f"%W~{keys.review('*')}",)),
        Grant("hget hdel", (f"~{keys.decisions}",)),
        Grant("zrem", (f"%W~{keys.decided}",)),
        *_forgetting_earlier(keys),
        Grant("evalsha", (f"~{keys.earlier('*', '*', '*')}", f"~{keys.pairs('*')}")),
        *_noting_pairs(keys),
    )


def _shadowing(keys: Keys) -> tuple[Grant, ...]:
    """Copies live jobs for candidates in shadow, and counts how these and their copies ended."""
    copies, shadowing = keys.of_producer(SHADOW), f"~{keys.shadowing('*', '*')}"
    counts, kept = f"~{keys.shadow('*', '*')}", f"~{keys.shadowed('*')}"
    ended = f"~{copies.result('*')}"
    return (
        Grant("evalsha", (shadowing, counts, kept, ended, f"~{keys.escalations}")),
        Grant("zrange zadd zrem expire", (shadowing,)),
        Grant("hincrby hincrbyfloat expire", (counts,)),
        Grant("set", (f"%W{kept}",)),
        *_judging(keys),
        Grant("exists", (f"%R~{copies.job('*')}",)),
        # How a live job ended, to compare it with how its copy did.
        Grant("get mget", (f"%R~{keys.of_producer('*').result('*')}",)),
    )


def _judging(keys: Keys) -> tuple[Grant, ...]:
    """Puts what a person said beside what a candidate in shadow did, and counts it."""
    return (
        Grant("get del", (f"~{keys.shadowed('*')}",)),
        Grant("get set del", (f"~{keys.judgement('*')}",)),
        Grant("hlen hsetnx expire", (f"%W~{keys.judged('*', '*')}",)),
    )


def _of_worker(keys: Keys, pool: str = "*") -> tuple[Grant, ...]:
    """Takes messages, claims entries, settles them or hands them back for the next step.

    Of which pool, no rule can say of what it settles: a result, and what is booked, are the job's.
    """
    backlogs = (f"~{keys.backlogs_of(pool)}",)
    return (
        Grant(_SCRIPTS),
        Grant("xpending xclaim xack xdel", backlogs),
        Grant(
            "evalsha",
            (*backlogs, f"~{keys.booked('*')}", f"~{keys.workers(pool)}", f"~{keys.due}"),
        ),
        Grant("xadd", (f"%W~{keys.escalations}",)),
        Grant("set", (f"%W~{keys.end('*')}",)),
        Grant("get", (f"%R~{keys.num_slices}",)),
        *_settling(keys),
        _counting(keys, "hincrbyfloat"),
        *_adding_checks(keys),
        Grant("hmget", (f"%R~{keys.audit('*')}",)),
        Grant("hgetall", (f"%R~{keys.drift}",)),
        *_beating(keys, pool),
        *_consuming(keys, pool),
        Grant("publish", channels=(f"{keys.celery_prefix}*",)),
    )


def _of_desk(keys: Keys) -> tuple[Grant, ...]:
    """Leases to people what waits for people, keeps their decisions, settles them.

    It reaches no other pool's jobs. What it cannot read it gives up, as a router does.
    """
    backlogs = (f"~{keys.backlogs_of(people_of('*'))}",)
    own = tuple(f"~{key}" for key in (keys.review("*"), keys.skipped("*", "*"), keys.decisions))
    others = (keys.earlier("*", "*", "*"), keys.answered("*", "*"), keys.pairs("*"))
    noted = tuple(f"~{key}" for key in (*others, keys.audited("*")))
    results = f"~{keys.of_producer('*').result('*')}"
    return (
        Grant(f"{_SCRIPTS} time"),
        Grant("xpending xclaim xrange xack xdel", backlogs),
        Grant(
            "evalsha",
            (
                *(*backlogs, *own, *noted, f"~{keys.decided}", results),
                *(f"~{keys.booked('*')}", f"~{keys.due}"),
            ),
        ),
        Grant("zrange zscore zcard zrem", (f"~{keys.review('*')}",)),
        *_asking_another(keys),
        *_noting_pairs(keys),
        Grant("sismember sadd expire del", (f"%W~{keys.skipped('*', '*')}",)),
        Grant("hset hget hdel expire", (f"~{keys.decisions}",)),
        Grant("zadd zscore zrem zrangebyscore expire", (f"~{keys.decided}",)),
        Grant("get", (f"%R~{keys.num_slices}",)),
        *_settling(keys),
        *_auditing(keys),
        *_judging(keys),
        Grant("hincrbyfloat expire", (f"~{keys.shadow('*', '*')}",)),
        *_showing(keys),
        *_writing_letters(keys),
    )


def _forgetting_earlier(keys: Keys) -> tuple[Grant, ...]:
    """What earlier.lua does where a job ends that several people are asked."""
    return (
        Grant("hkeys del", (f"~{keys.earlier('*', '*', '*')}",)),
        Grant("zrem", (f"%W~{keys.answered('*', '*')}",)),
    )


def _noting_pairs(keys: Keys) -> tuple[Grant, ...]:
    """What note_pair.lua does, and who reads what was decided before."""
    return (
        Grant("hgetall hexists exists hset", (f"~{keys.earlier('*', '*', '*')}",)),
        Grant("xadd expire", (f"%W~{keys.pairs('*')}",)),
    )


def _asking_another(keys: Keys) -> tuple[Grant, ...]:
    """What ask_another.lua does, and who is not asked again what they have answered."""
    answered = f"~{keys.answered('*', '*')}"
    return (
        Grant("pexpireat", (f"%W~{keys.earlier('*', '*', '*')}",)),
        Grant("exists zscore zmscore zcount zadd expire", (answered,)),
        Grant("xrange", (f"%R~{keys.pairs('*')}",)),
        *_forgetting_earlier(keys),
    )


def _writing_letters(keys: Keys) -> tuple[Grant, ...]:
    """What settle.lua does where a job is given up."""
    return (
        Grant("xadd", (f"%W~{keys.dead}",)),
        Grant("set del", (f"%W~{keys.dead_raw('*')}",)),
        # What is kept of refused submissions has a bound, and so is counted.
        Grant("xadd xlen xrange xdel expire", (f"~{keys.dead_kept}",)),
        Grant("incrby expire", (f"~{keys.dead_bytes}", f"~{keys.dead_written}")),
    )


def _settling(keys: Keys) -> tuple[Grant, ...]:
    """What settle.lua does besides ending an entry, to a job that is answered or goes on."""
    every = keys.of_producer("*")
    return (
        Grant("set exists", (f"%W~{every.result('*')}",)),
        Grant("publish", channels=(every.results("*"),)),
        Grant("hmget hset hdel expire", (f"~{every.job('*')}",)),
        Grant("zrem", (f"%W~{keys.due}",)),
        Grant("hincrby hincrbyfloat expire", (f"~{keys.booked('*')}",)),
        # Its record, where the fleet keeps an audit log; who may write one may read none.
        Grant("exists xadd xlen", (f"%W~{keys.log}",)),
        Grant("hincrby", (f"~{keys.log_lost}",)),
    )


def _counting(keys: Keys, *more: str) -> Grant:
    """What checks.lua does to count what is drawn and what waits."""
    return Grant(" ".join(("hincrby hget hset expire", *more)), (f"~{keys.audit('*')}",))


def _adding_checks(keys: Keys) -> tuple[Grant, ...]:
    """What checks.lua does to put a check before people; who may do so may read none."""
    checks = f"%W~{keys.checks('*')}"
    return (
        Grant("xadd xlen xgroup|create pexpireat", (checks,)),
        Grant("zadd pexpireat", (f"%W~{keys.review(checks_of('*'))}",)),
    )


def _dropping_checks(keys: Keys) -> tuple[Grant, ...]:
    """What drop_checks.lua does besides, where nobody answered in time."""
    review, audit = f"~{keys.review(checks_of('*'))}", f"~{keys.audit('*')}"
    return (
        Grant("evalsha", (f"~{keys.checks('*')}", review, audit)),
        Grant("zrangebyscore", (f"%R{review}",)),
    )


def _auditing(keys: Keys) -> tuple[Grant, ...]:
    """What a desk does with blind checks beyond what it does with jobs: it records how each ended.

    It mixes golden rows among them, and writes down what all of that says of the error.
    """
    review, audit = f"~{keys.review(checks_of('*'))}", f"~{keys.audit('*')}"
    return (
        _counting(keys),
        *_adding_checks(keys),
        Grant("evalsha", (f"~{keys.checks('*')}", review, audit)),
        Grant("xadd xlen xrange expire", (f"~{keys.audited('*')}",)),
        Grant("hmget hgetall", (f"%R{audit}",)),
        # Since when an alarm has had more checked.
        Grant("hgetall", (f"%R~{keys.drift}",)),
    )


def _showing(keys: Keys) -> tuple[Grant, ...]:
    """What a desk's dashboard takes: counts of what waits and the books, and never a job."""
    # Of pools alone, whose names begin with no @: what waits for people it may do more with.
    return (
        Grant("xlen xpending xinfo|groups", (f"%R~{keys.backlogs_of('[^@]*')}",)),
        Grant("zcount", (f"%R~{keys.workers('*')}", f"%R~{keys.review('*')}")),
        Grant("hgetall", (f"%R~{keys.booked('*')}",)),
        Grant("xadd xrange expire", (f"~{keys.history('*')}",)),
        Grant("hincrby hgetall expire", (f"~{keys.reviewers('*')}",)),
    )


def _beating(keys: Keys, pool: str = "*") -> tuple[Grant, ...]:
    """What beat.lua does, and reap_workers.lua."""
    return (Grant("zadd zrem zremrangebyscore zcount pexpire", (f"~{keys.workers(pool)}",)),)


def _consuming(keys: Keys, pool: str) -> tuple[Grant, ...]:
    """What kombu does to hand a worker its messages, and to restore those it did not start."""
    prefix = keys.celery_prefix
    held = (f"~{keys.unacked(pool)}", f"%W~{keys.unacked_index(pool)}")
    return (
        # What it held and did not start it puts back.
        Grant("brpop llen rpush", tuple(f"~{queue}" for queue in keys.queues(pool).values())),
        Grant("sadd", (f"%W~{prefix}_kombu.binding*",)),
        Grant("multi exec unwatch"),
        Grant("zadd zrem hset hget hdel watch", held),
        *_looking_for_lost(keys, pool),
    )


def _looking_for_lost(keys: Keys, owner: str) -> tuple[Grant, ...]:
    """How kombu looks now and then for messages that a consumer held for too long."""
    return (
        Grant("time"),
        Grant("zrange", (f"%R~{keys.unacked_index(owner)}",)),
        Grant("set get del evalsha", (f"~{keys.celery_prefix}unacked_mutex:{owner}",)),
    )


def _of_flower(keys: Keys) -> tuple[Grant, ...]:
    """Listens to the events of Celery, and counts its lists.

    kombu gives every listener a queue of its own, and asks all workers for a sign of life; those
    do not listen to that.
    """
    prefix = keys.celery_prefix
    own = (f"~{prefix}*.reply.celery.pidbox*", f"~{prefix}_kombu.binding*")
    return (
        Grant(f"{_SCRIPTS} script|exists multi exec"),
        # To a pattern one may subscribe only if that very pattern is allowed; database 0's is.
        Grant("psubscribe punsubscribe", channels=(f"{prefix}/0.celeryev/*",)),
        Grant("publish", channels=(f"{prefix}*",)),
        Grant("llen", (f"%R~{prefix}*",)),
        # kombu's script for bindings that expire names a binding and its queue in one call.
        Grant("brpop del sadd srem evalsha zadd zrangebyscore", own),
        *_looking_for_lost(keys, f"@{Role.FLOWER}"),
    )


def _of_scaler(keys: Keys) -> tuple[Grant, ...]:
    """Counts what waits, for KEDA: unread entries and those in hand."""
    streams = _counted(keys)
    # Before it asks for a lag, KEDA asks for Redis's version, of which INFO alone tells.
    return (Grant("info"), Grant("xinfo|groups xpending xlen", streams))


def _of_exporter(keys: Keys) -> tuple[Grant, ...]:
    """Counts, for Prometheus, and reads what was spent; never a job, a result or a letter."""
    streams = _counted(keys)
    return (
        Grant("time info multi exec"),
        Grant("xinfo|groups xpending xlen", streams),
        Grant("xlen", (f"%R~{keys.dead}", f"%R~{keys.log}")),
        Grant("hget", (f"%R~{keys.log_lost}",)),
        Grant("zcount", (f"%R~{keys.workers('*')}",)),
        Grant("zcard zrange", (f"%R~{keys.review('*')}",)),
        Grant("llen", (f"%R~{keys.celery_prefix}*",)),
        Grant("hlen", (f"%R~{keys.unacked('*')}",)),
        Grant(
            "hgetall", tuple(f"%R~{key}" for key in (keys.producers, keys.booked("*"), keys.drift))
        ),
        Grant("hmget", (f"%R~{keys.of_producer('*').submissions}", f"%R~{keys.audit('*')}")),
        Grant("get", (f"%R~{keys.num_slices}", f"%R~{keys.dead_written}")),
    )


def _of_audit_log(keys: Keys) -> tuple[Grant, ...]:
    """Takes up the records of results; never reads a job or a result."""
    return (
        Grant("xgroup|create xrange xtrim exists", (f"~{keys.log}",)),
        Grant("hget", (f"%R~{keys.log_lost}",)),
        Grant("get set", (f"~{keys.log_head}",)),
        Grant("get", (f"%R~{keys.num_slices}",)),
    )


def _counted(keys: Keys) -> tuple[str, ...]:
    """The streams that jobs wait in, to be read and never written."""
    streams = (keys.of_producer("*").jobs, keys.escalations, keys.backlogs_of("*"))
    return tuple(f"%R~{stream}" for stream in streams)
