"""What the reference generates: everything there is, and nothing else."""

import re

import pytest
from docs import reference

from smallfirst.cli.main import COMMANDS
from smallfirst.jobs import Job, Result
from smallfirst.ledger.keys import Keys
from smallfirst.settings import known_variables


def names_in(page: str) -> list[str]:
    """What the first column of each table names."""
    return re.findall(r"^\| `([^`]+)` \|", page, flags=re.MULTILINE)


def test_every_variable_is_told_with_its_meaning() -> None:
    """Each setting that some component reads has a row with a sentence."""
    page = reference.settings()
    assert set(names_in(page)) == known_variables()
    assert re.findall(r"^\| `SMALLFIRST_\w+` \|  \|", page, flags=re.MULTILINE) == []


@pytest.mark.parametrize(("page", "model"), [("job", Job), ("result", Result)])
def test_every_field_is_told(page: str, model: type[Job] | type[Result]) -> None:
    """The first table has the fields of the model, in their order."""
    found = names_in(reference.GENERATED[page]())
    assert found[: len(model.model_fields)] == list(model.model_fields)


def test_every_command_is_told() -> None:
    """Commands and commands of commands have a section each."""
    page = reference.commands()
    for name in COMMANDS:
        assert f"## `smallfirst {name}`" in page
    assert "## `smallfirst dead replay`" in page


def test_every_key_is_told() -> None:
    """Whatever key the fleet makes has a row."""
    told = set(names_in(reference.redis_keys()))
    keys = Keys("ns")
    own = keys.of_producer("{producer}")
    made = {keys.producers, own.jobs, own.job("{id}"), own.result("{id}")}
    made |= {own.results("{reply_to}"), own.first_seen("{entry}"), keys.escalations}
    made |= {
        keys.num_slices,
        keys.pools,
        keys.due,
        keys.dead,
        keys.dead_raw("{entry}"),
        keys.workers("{pool}"),
    }
    made |= {keys.end("{host}/{pid}"), keys.booked("{date}"), keys.seen("{date}")}
    made.add(keys.seen("{date}", "{hour}"))
    made |= {keys.dead_kept, keys.dead_bytes, keys.dead_written, own.submissions}
    made |= {f"{keys.tag}:backlog:{{pool}}:{{priority}}"}
    made |= {keys.review("{task}"), keys.skipped("{task}", "{person}")}
    made |= {keys.decisions, keys.decided, keys.audit("{task}"), keys.audited("{task}")}
    made |= {keys.history("{task}"), keys.reviewers("{date}")}
    made |= {keys.log, keys.log_lost, keys.log_head, keys.drift, keys.drift_judge}
    made |= {keys.accepted("{task}", "{series}"), keys.pairs("{task}")}
    made |= {keys.earlier("{task}", "{priority}", "{entry}"), keys.answered("{task}", "{person}")}
    made |= {keys.shadowing("{task}", "{series}"), keys.shadow("{task}", "{series}")}
    made |= {keys.shadowed("{copy}"), keys.judgement("{copy}")}
    made.add(keys.judged("{task}", "{series}"))
    of_slice = {key.replace(keys.tag, "{slice}") for key in made}
    assert told == {*of_slice, "{ns}:celery:*"}


def test_a_marker_that_names_nothing_is_an_error() -> None:
    """A page cannot ask for what is not generated; any other page stays as it is."""
    assert reference.filled("# A page") == "# A page"
    with pytest.raises(KeyError, match="gone"):
        reference.filled("<!-- generated: gone -->")
