r"""Patterns of the team's own that wait for a border of words where RE2 sees none. Pure.

RE2's `\b` stands between an ASCII letter, digit or underscore and anything else. So `\bÄnderung`
matches behind an ASCII letter alone, which is never where a word begins; and nothing says so.
"""

import re
from collections.abc import Iterator

from smallfirst.catalogue import Catalogue, Place
from smallfirst.catalogue.steps import RuleStep

#: What to write in place of such a border.
REMEDY = (
    r"write (?:^|[^\pL\pN_]) in place of \b before the word, (?:[^\pL\pN_]|$) in place of \b behind"
    " it, and (?P<span>...) around the word itself"
)
_OPENERS = r"(?:\(\?P?<[A-Za-z0-9_]+>|\(\?[A-Za-z-]*:|\(|\[)*"
_CLOSERS = r"(?:[)\]*+?]|\{[0-9,]*\})*"
_BLIND = re.compile(rf"\\b{_OPENERS}([^\x00-\x7f])|([^\x00-\x7f]){_CLOSERS}\\b")


def blind_border(pattern: str) -> str | None:
    r"""Name the first letter or digit beyond ASCII beside a `\b`, which is no border there."""
    plain = pattern.replace(r"\\", "  ")
    beside = (match[1] or match[2] for match in _BLIND.finditer(plain))
    return next((letter for letter in beside if letter.isalnum()), None)


def blind_patterns(catalogue: Catalogue) -> Iterator[tuple[Place, str]]:
    """Yield the patterns of a catalogue that wait for such a border: the place, and the reason."""
    for name, task in catalogue.tasks.items():
        for step, asked in enumerate(task.cascade):
            patterns = asked.rule.patterns if isinstance(asked, RuleStep) else ()
            for number, pattern in enumerate(patterns):
                letter = blind_border(pattern.pattern)
                if letter is not None:
                    place = ("tasks", name, "cascade", step, "rule", "patterns", number)
                    yield place, rf"\b is no border of words beside {letter!r}, so it never matches"
