"""Where jobs wait for a person: names that the catalogue, the router and the desk share.

Each task whose cascade ends at a person has a backlog of its own, so that whoever may not see a
task need not look at what waits for it.
"""

from typing import Final

#: What stands before a task's name in that of the backlog where its jobs wait for a person. No pool
#: of a catalogue can be called so, since no name begins with an at sign or holds a dot.
PEOPLE: Final = "@people."
#: What stands before a task's name in that under which its blind checks wait, as jobs of a task do.
BLIND: Final = "@blind."
#: Who is asked there, as trails and reports name it; no model's name is compared with it.
PERSON: Final = "person"


def people_of(task: str) -> str:
    """Name the backlog where a task's jobs wait for a person, as pools are named."""
    return f"{PEOPLE}{task}"


def task_of_people(pool: str | None) -> str | None:
    """Name the task whose jobs wait for a person here; None where no people are asked."""
    return pool.removeprefix(PEOPLE) if pool is not None and pool.startswith(PEOPLE) else None


def checks_of(task: str) -> str:
    """Name what a task's blind checks wait as: people take them like the jobs of a task."""
    return f"{BLIND}{task}"


def task_of_checks(name: str | None) -> str | None:
    """Name the task whose blind checks wait under a name; None where it is a task's own."""
    return name.removeprefix(BLIND) if name is not None and name.startswith(BLIND) else None
