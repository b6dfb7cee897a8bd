"""How the jobs that something is left of are named once more."""

import shlex

from smallfirst.cli.forget import commands_of
from smallfirst.forgetting.forgotten import Found, JobName


def test_each_producers_jobs_are_named_by_its_own_commands() -> None:
    """No command is longer than a system takes, and one whose producer is not known has a name."""
    jobs = {JobName("p", f"a{number:04}") for number in range(1200)} | {JobName("q", "b")}
    found = Found(jobs, ids={"b", "c"})
    commands = [shlex.split(each) for each in commands_of(found, ["--rows", "my rows.jsonl"])]
    assert [(words[3], words.count("--id")) for words in commands] == [
        *[("p", 500), ("p", 500), ("p", 200)],
        *[("q", 1), ("default", 1)],
    ]
    assert {
        words[at + 1] for words in commands for at, each in enumerate(words) if each == "--id"
    } == {
        *(job.id for job in jobs),
        "c",
    }
    assert {tuple(words[-2:]) for words in commands} == {("--rows", "my rows.jsonl")}
    assert commands_of(Found(), []) == []
