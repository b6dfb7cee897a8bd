"""`smallfirst`: the list of commands, what stands before them, and how every one of them ends.

Exit codes: 0 done; 1 not done, or some jobs have no answer; 2 wrong usage; 3 the fleet cannot be
reached; 130 interrupted. An error is one line on stderr, and with --debug its traceback.

Nothing here imports what only a command needs: `--help` and the shell's completion are quick.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from smallfirst.cli.global_options import Globals, globals_of
from smallfirst.cli.lazy_group import CommandEntry, LazyGroup
from smallfirst.cli.output import INTERRUPTED, note

#: Every command, in the order of the list.
COMMANDS = {
    "init": CommandEntry(
        "smallfirst.cli.init:init",
        "Write a first catalogue, its examples and a few rows to try; overwrites nothing.",
    ),
    "up": CommandEntry(
        "smallfirst.cli.up:up",
        "Run a whole fleet here: Redis, routers, workers, Flower. Ctrl-C drains it, twice ends it.",
    ),
    "desk": CommandEntry(
        "smallfirst.cli.desk:app",
        "Serve the review desk, where people answer in a browser what no model was sure of.",
    ),
    "check": CommandEntry(
        "smallfirst.cli.check:check",
        "Say all that is wrong with a catalogue; exit 1 when a router or worker would refuse it.",
    ),
    "demo": CommandEntry(
        "smallfirst.cli.demo:demo",
        "Start a whole fleet, send it a file of support mail, show who answered what, stop it.",
    ),
    "run": CommandEntry("smallfirst.cli.run:run", "Send a file of rows through the fleet."),
    "submit": CommandEntry(
        "smallfirst.cli.jobs:submit", "Submit one text and print the id of its job."
    ),
    "result": CommandEntry(
        "smallfirst.cli.jobs:result",
        "Print a job's result; exit 1 where there is none (yet), or it holds no answer.",
    ),
    "explain": CommandEntry(
        "smallfirst.cli.explain:explain",
        "Show which words drove a job's answer; exit 1 where nothing tells.",
    ),
    "status": CommandEntry(
        "smallfirst.cli.jobs:status",
        "Say where a job is now; exit 1 where nothing is known of it.",
    ),
    "cancel": CommandEntry(
        "smallfirst.cli.jobs:cancel",
        "Ask that a job be dropped; a result that stands already stays.",
    ),
    "queues": CommandEntry(
        "smallfirst.cli.queues:queues",
        "Show what waits for each pool and of each producer, its age, and the live workers.",
    ),
    "logs": CommandEntry(
        "smallfirst.cli.logs:logs",
        "Show what the processes of the fleet here said last, in the order of time.",
    ),
    "tasks": CommandEntry(
        "smallfirst.cli.tasks:tasks",
        "List the tasks that a job may name, with their kinds and labels.",
    ),
    "dead": CommandEntry(
        "smallfirst.cli.dead:app", "List, read, replay and drop what was refused or given up."
    ),
    "forget": CommandEntry(
        "smallfirst.cli.forget:forget",
        "Remove jobs' texts and results from the fleet, rows, models and the audit log's index.",
    ),
    "producer": CommandEntry(
        "smallfirst.cli.producer:app", "Add, list and remove producers, and change passwords."
    ),
    "slices": CommandEntry(
        "smallfirst.cli.slices:app",
        "Show where each slice of the fleet is, and change their number.",
    ),
    "doctor": CommandEntry(
        "smallfirst.cli.doctor:doctor",
        "Look at everything a fleet needs; exit 1 when something is wrong.",
    ),
    "acl": CommandEntry(
        "smallfirst.cli.acl:acl",
        "Print what Redis's setting `aclfile` is to name: who may do what, and nothing more.",
    ),
    "schema": CommandEntry(
        "smallfirst.cli.schema:schema",
        "Print the JSON Schema of a job, a result, the catalogue or a promise.",
    ),
    "export": CommandEntry(
        "smallfirst.cli.export:export",
        "Write what people answered as labelled rows, each job once, its last answer.",
    ),
    "label": CommandEntry(
        "smallfirst.cli.label:label",
        "Ask the fleet to label a file of rows, and write each with who answered, and how surely.",
    ),
    "generate-rows": CommandEntry(
        "smallfirst.cli.generate_rows:generate_rows",
        "Have a large model write rows of a task, from its labels' descriptions and examples.",
    ),
    "train": CommandEntry(
        "smallfirst.cli.train:train", "Train a small model of a task's own on labelled rows."
    ),
    "fit": CommandEntry(
        "smallfirst.cli.fit:fit",
        "Find the cheapest cascade for a task from labelled rows, and write it ready to serve.",
    ),
    "distil": CommandEntry(
        "smallfirst.cli.distil:distil",
        "Make a candidate from what large models and people answered, ready for `smallfirst"
        " promote`.",
    ),
    "shadow": CommandEntry(
        "smallfirst.cli.shadow:app",
        "Let a candidate run in shadow of a task, on a share of its live jobs, and see how it"
        " does.",
    ),
    "promote": CommandEntry(
        "smallfirst.cli.promote:promote",
        "Put a candidate in the place of a task's cascade, where people's labels show it is not"
        " worse.",
    ),
    "promise": CommandEntry(
        "smallfirst.cli.promote:promise",
        "Say whether a task's promise is kept on newer labels; exit 1 where they refute it.",
    ),
    "rollback": CommandEntry(
        "smallfirst.cli.promote:rollback",
        "Bring a task back as it was before its last promotion.",
    ),
    "calibrate": CommandEntry(
        "smallfirst.cli.calibrate:calibrate",
        "Choose the thresholds of a task's whole cascade, so that a promise about its errors"
        " holds.",
    ),
    "audit": CommandEntry(
        "smallfirst.cli.audit:audit",
        "Show how often accepted answers are wrong, by blind checks, and how reviewers answer.",
    ),
    "drift": CommandEntry(
        "smallfirst.cli.drift:drift",
        "Show whether jobs are still like the rows that their task was calibrated on.",
    ),
    "audit-log": CommandEntry(
        "smallfirst.cli.audit_log:app",
        "Keep, prove and verify the log of what the fleet answered, and by what.",
    ),
    "bundle": CommandEntry(
        "smallfirst.cli.bundle:bundle",
        "Write a catalogue, its models, rows and promises, wheels and chart to one signed file.",
    ),
    "unbundle": CommandEntry(
        "smallfirst.cli.bundle:unbundle",
        "Verify a bundle, byte by byte; unpack it, and install its wheels; exit 1 where it is"
        " changed.",
    ),
    "report": CommandEntry(
        "smallfirst.cli.books:report",
        "Show what jobs cost and what was saved, by task, step and pool; losses as plainly as"
        " gains.",
    ),
    "evaluate": CommandEntry(
        "smallfirst.cli.evaluate:evaluate",
        "Compare a task's cascade with everything else its models could do.",
    ),
}


class Commands(LazyGroup):
    """Commands whose errors are one line on stderr and an exit code, never a traceback."""

    entries = COMMANDS

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            raise typer.Exit(_report(error, ctx)) from error


def _report(error: Exception, context: Any) -> int:
    """Tell of an error, and return the exit code that it stands for."""
    from smallfirst.cli.error_reports import exit_code_of, line_of  # noqa: PLC0415 - see above

    if globals_of(context).debug:
        from traceback import print_exception  # noqa: PLC0415 - see above

        print_exception(error)
    note(f"smallfirst: {line_of(error, context)}")
    return exit_code_of(error)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=(
        "Exit codes: 0 done; 1 not done, or some jobs have no answer; 2 wrong usage; "
        "3 the fleet cannot be reached; 130 interrupted."
    ),
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - see above

        typer.echo(f"smallfirst {version('smallfirst')}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    *,
    redis_url: Annotated[
        str | None,
        typer.Option(
            help="The address of the fleet's Redis; if not given, SMALLFIRST_REDIS_URL, else the"
            " address of the fleet that `smallfirst up` runs here."
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="The prefix of all the fleet's keys in Redis.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="The local fleet's folder; if not given, ~/.local/state/smallfirst."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Every language job starts with the smallest tool that can do it well."""
    from smallfirst.telemetry.logs import configure_logs  # noqa: PLC0415 - see above

    context.obj = Globals(redis_url, namespace, folder, debug)
    configure_logs("debug" if debug else "warning", "console")
