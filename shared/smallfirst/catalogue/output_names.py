"""What the outputs of a model's own classifier are called, by its files and by the catalogue. Pure.

Taggers put a prefix before a label, which tells a span's beginning, inside and end apart.
"""

from collections.abc import Collection, Iterator, Mapping

#: The tag of a word outside every span, in token classifiers of every school.
OUTSIDE = "O"
#: What schools of tagging put before a label.
_PREFIXES = ("B-", "I-", "E-", "L-", "S-", "U-")


def without_prefix(output: str) -> str:
    """The label that a tagger's output speaks for: `B-person` for `person`."""
    return output[2:] if output.startswith(_PREFIXES) else output


def renamed(output: str, names: Mapping[str, str], *, is_tagger: bool) -> str:
    """Call an output as the catalogue does; where that says nothing of it, as the files do.

    Args:
        output: Its name by the model's files.
        names: New names by old ones; those of a tagger may stand without their prefix.
        is_tagger: Whether the model judges tokens. Then the output's prefix stays, unless the new
            name brings its own or is that of words outside every span.
    """
    bare = without_prefix(output) if is_tagger else output
    new = names.get(output, names.get(bare))
    if new is None:
        return output
    prefix = output.removesuffix(bare)
    return new if new == OUTSIDE or new.startswith(_PREFIXES) else f"{prefix}{new}"


def names_several_parts(
    outputs: Collection[str], names: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Find the new names with a prefix that would be one for all parts of a tagger's label."""
    for old, new in names.items():
        if old not in outputs and new.startswith(_PREFIXES):
            yield old, new
