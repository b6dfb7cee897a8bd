"""Which tests run one after the other, in one process, and in what order the groups are started.

`make test` runs groups beside each other, one more at once than the machine has cores. What a group
shares is made once: an engine, trained models, a fleet. What starts whole fleets and kills them is
one group, so that no two of them fight for the same cores and no law of time is bent.
"""

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

#: Folders and modules that make a group, in the order in which groups are started: those that take
#: longest first, so that the last minutes are not one group's alone. Any other module is its own
#: group.
GROUPS: dict[str, tuple[str, ...]] = {
    "faults": ("faults",),
    "images": ("deploy/test_images.py", "deploy/test_scan.py"),
    "vllm": ("integration/llm", "integration/llm_endpoint", "integration/test_pocket_llm.py"),
    "fleets": ("integration/fleet", "integration/cli", "integration/evaluation"),
    "training": ("integration/training", "integration/slm"),
    "deploy": ("deploy",),
    "keys": ("browser/test_keys.py",),
    "looks": ("browser/test_looks.py",),
}


def group_of(path: PurePath) -> str:
    """Name the group of a module of tests, given by its path below `tests/`."""
    for group, members in GROUPS.items():
        if any(path.is_relative_to(member) for member in members):
            return group
    return path.as_posix()


def rank_of(group: str) -> int:
    """When a group is started, among all."""
    return list(GROUPS).index(group) if group in GROUPS else len(GROUPS)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Sends the tests of a group to one process.

    The marker `xdist_group` would do it, but pytest-xdist 3.8 appends its name to a field that
    pytest 9.2 does not have any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(PurePath(nodeid.partition("::")[0]).relative_to("tests"))
