"""How often the built-in recognizers are right, beside other libraries, on the same lines.

The lines are written from the standards (`tests/support/recognizer_lines.jsonl`), each with the
section that says what is to be found. A span is right when its first and its last character are.

    python -m venv .cache/rivals && .cache/rivals/bin/pip install presidio-analyzer dateparser
    python benchmarks/recognizers.py --rivals .cache/rivals/bin/python --write
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from provenance import provenance, write_result

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.recognizer_lines import LINES, PATH, Counts, Line, compare, found_in

from smallfirst_router.recognizers import RECOGNIZERS

#: Times that each line is read for the clock.
NUM_TURNS = 5
NOTE = """\
{num_lines} lines, {num_spans} spans to be found; precision and recall by whole spans.

The lines were written from the standards before the recognizers were mended by them. So they tell
what the recognizers know by now, and not how they fare on texts that nobody has looked at.

Presidio's pattern recognizers are asked by themselves, without its NLP engine, so without the words
around a find that raise its score. Every find counts, of two that overlap the surer one. Presidio
looks for some other things under the same names: hosts without a scheme are URLs to it, half a date
is a date, a network has its length. phonenumbers takes what is valid in the US, Great Britain,
Germany or France; dateparser reads seven languages, strictly. Time is of one core."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rivals", required=True, help="Python of an environment with the rivals.")
    parser.add_argument("--write", action="store_true", help="Write the results page.")
    options = parser.parse_args()
    rivals = ask_rivals(options.rivals)
    text = "\n\n".join(
        (
            "# How often recognizers are right",
            NOTE.format(num_lines=len(LINES), num_spans=sum(len(line.spans) for line in LINES)),
            "\n".join(table(rivals)),
            "What ours miss or find besides:",
            "\n".join(mistakes()),
            provenance("google-re2", "python-stdnum"),
        )
    )
    print(text)
    if options.write:
        write_result("recognizers", text)


def ask_rivals(python: str) -> Any:
    """Have the other libraries read the lines, in their own environment."""
    script = Path(__file__).with_name("recognizer_rivals.py")
    done = subprocess.run(  # noqa: S603 - our own script
        [python, str(script)], input=PATH.read_bytes(), stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def lines_of(name: str) -> list[Line]:
    """The lines of a recognizer."""
    return [line for line in LINES if line.recognizer == name]


def table(rivals: Mapping[str, Any]) -> Iterator[str]:
    """Write a row for each recognizer and whoever has one."""
    yield "| recognizer | lines | whose | precision | recall | wrong | missed | µs a line |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in RECOGNIZERS:
        lines = lines_of(name)
        yield row(name, "Smallfirst", compare(lines, map(found_in, lines)), clock(lines))
        for rival, found in rivals.items():
            if name in found:
                said = ({tuple(span) for span in spans} for spans in found[name]["spans"])
                yield row(name, rival, compare(lines, said), found[name]["microseconds"])


def row(name: str, whose: str, counts: Counts, microseconds: float) -> str:
    """Write a row of the table."""
    scores = f"{counts.precision:.3f} | {counts.recall:.3f}"
    missed = f"{counts.num_wrong} | {counts.num_missed}"
    return (
        f"| {name} | {len(lines_of(name))} | {whose} | {scores} | {missed} | {microseconds:.0f} |"
    )


def clock(lines: Sequence[Line]) -> float:
    """Measure the microseconds of processor time that a line takes."""
    began = time.process_time()
    for _ in range(NUM_TURNS):
        for line in lines:
            found_in(line)
    return 1e6 * (time.process_time() - began) / NUM_TURNS / len(lines)


def mistakes() -> Iterator[str]:
    """List the lines that ours read otherwise than their source says."""
    for line in LINES:
        found, gold = found_in(line), set(line.spans)
        wrong = ", ".join(f"finds `{line.text[a:b]}`" for a, b in sorted(found - gold))
        missed = ", ".join(f"misses `{line.text[a:b]}`" for a, b in sorted(gold - found))
        if wrong or missed:
            said = "; ".join(filter(None, (wrong, missed)))
            yield f"- {line.recognizer}, `{line.text}`: {said} ({line.source})"


if __name__ == "__main__":
    main()
