"""What signatures, quoted mails and legal notices do to a small model's answers, and what helps.

Appends them to the demo's mails and asks the demo's small model for their topic. Prints Markdown;
`--write` also writes it to `benchmarks/results/long_mails.md`.

    python benchmarks/long_mails.py --write
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from provenance import provenance, write_result

from smallfirst.answers import LabelAnswer
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.model_files import model_folder
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "support_mail"
#: The demo's threshold for `topic` on its small model.
THRESHOLD = 0.6
#: As many texts as are asked at once, as a worker is.
BATCH_ROWS = 64

SIGNATURE = (
    "\n\n-- "
    """
Dr Robin Ashworth
Head of Facilities, Northgate Housing Association
Tel. +44 20 7946 0018 | www.northgate.example
Our offices are closed on Fridays from noon."""
)
QUOTED = """

On Tue, 3 Mar 2026 at 10:14, Ladle and Larch <service@ladleandlarch.example> wrote:
> Thank you for your message. We have passed it on to the colleague who deals
> with such questions and will come back to you within two working days. You can
> follow the progress of your order in your account at any time. If you wish to
> send something back, please print the label and put the slip into the parcel.
> An invoice was sent to you by e-mail when you paid."""
NOTICE = """

This e-mail and any files transmitted with it are confidential and intended solely for the use of
the person or organisation to whom they are addressed. If you have received this message in error,
please notify the sender at once and delete it from your system; any disclosure, copying or
distribution of its contents is forbidden. Although we check for viruses, we accept no liability for
damage caused by this transmission. Think of the environment before you print this."""
TAILS = {
    "as they are": "",
    "signature": SIGNATURE,
    "quoted mail": QUOTED,
    "legal notice": NOTICE,
    "legal notice, three times": NOTICE * 3,
    "all three": SIGNATURE + QUOTED + NOTICE,
}
#: Ways to answer; see the page.
WAYS = ("all tokens", "mean of windows", "first window", "surest window", "message")

Answers = list[LabelAnswer]


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = "\n\n".join(_parts())
    print(text)
    if options.write:
        write_result("long_mails", text)


def _parts() -> Iterator[str]:
    lines = (FOLDER / "mails.jsonl").read_text(encoding="utf-8").splitlines()
    mails = [json.loads(line) for line in lines]
    gold = [mail["gold"]["topic"] for mail in mails]
    yield "# What signatures, quoted mails and legal notices do to an answer"
    yield (
        f"The demo's `topic`, its small model alone (a head from 435 short examples), {len(mails)}"
        " mails with a tail\n"
        "that says nothing of the topic. Share of right answers, and in brackets of wrong ones"
        f" among\nthose that are sure at {THRESHOLD}. Windows: mean per mail, of at most 256"
        " tokens."
    )
    table = [f"| tail | windows | {' | '.join(WAYS)} |", "|---" * (2 + len(WAYS)) + "|"]
    with tempfile.TemporaryDirectory() as cache:
        engine = _engine(Path(cache))
        for name, tail in TAILS.items():
            texts = [mail["text"] + tail for mail in mails]
            cells, windows = _row(engine, texts, gold)
            table.append(f"| {name} | {windows:.2f} | {' | '.join(cells)} |")
    yield "\n".join(table)
    yield (
        "`all tokens` (served): the mean of all token states, each from the window that shows most"
        " around it.\n"
        "`mean of windows`, `first window`, `surest window`: each window is answered as a text of"
        " its own.\n"
        "`message`: the task says `reads: message`, all tokens of what is left. Some of the mails"
        " have signatures\n"
        "and quotations of their own. The tails were written for this page, in the forms that the"
        " rules know;\n"
        "a notice in another form stays and does what the other columns show. A tail does its harm"
        " within one\n"
        "window already, so no way of merging windows mends it. The first window suits mails, which"
        " begin with\n"
        "what they are about, and no document that does not, so it is not the default."
    )
    yield provenance("openvino", "transformers")


def _engine(cache: Path) -> SlmEngine:
    """The demo's small model, prepared for its topics read in both ways."""
    catalogue = load_catalogue(FOLDER / "catalogue.yaml")
    model, task = catalogue.models["minilm"], catalogue.tasks["topic"]
    engine = SlmEngine.load("minilm", model, model_folder(model), cache=cache, threads=1)
    engine.prepare({"all": task, "message": task.model_copy(update={"reads": "message"})})
    return engine


def _row(engine: SlmEngine, texts: list[str], gold: list[str]) -> tuple[list[str], float]:
    """Answer mails in each way; return a cell for each, and how many windows a mail has."""
    windows = [_windows(engine, text) for text in texts]
    flat = [(number, part) for number, parts in enumerate(windows) for part in parts]
    answers = _ask(engine, "all", [part for _, part in flat])
    of_windows: list[Answers] = [[] for _ in texts]
    for (number, _), answer in zip(flat, answers, strict=True):
        of_windows[number].append(answer)
    said = {
        "all tokens": [_said(answer) for answer in _ask(engine, "all", texts)],
        "mean of windows": [_mean(answers) for answers in of_windows],
        "first window": [_said(answers[0]) for answers in of_windows],
        "surest window": [max(map(_said, answers), key=_sureness) for answers in of_windows],
        "message": [_said(answer) for answer in _ask(engine, "message", texts)],
    }
    return [_cell(said[way], gold) for way in WAYS], len(flat) / len(texts)


def _windows(engine: SlmEngine, text: str) -> list[str]:
    """The stretches of a text that its windows hold."""
    reader = engine.encoder.reader
    [reading] = reader.read([text])
    places = reading.offsets
    return [text[places[own.start][0] : places[own.end - 1][1]] for own in reading.windows]


def _ask(engine: SlmEngine, task: str, texts: Sequence[str]) -> Answers:
    """Ask in batches of similar length, as the router forms them."""
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    found: dict[int, LabelAnswer] = {}
    for first in range(0, len(order), BATCH_ROWS):
        batch = order[first : first + BATCH_ROWS]
        done = engine.run([EngineRequest(texts[number], task) for number in batch])
        for number, answer in zip(batch, done.answers, strict=True):
            assert isinstance(answer, LabelAnswer)
            found[number] = answer
    return [found[number] for number in range(len(texts))]


def _said(answer: LabelAnswer) -> tuple[str, float]:
    return answer.label, answer.confidence


def _sureness(said: tuple[str, float]) -> float:
    return said[1]


def _mean(answers: Answers) -> tuple[str, float]:
    """The likeliest label by the mean over windows."""
    labels = list(answers[0].distribution)
    mean = np.mean([[one.distribution[label] for label in labels] for one in answers], axis=0)
    return labels[int(mean.argmax())], float(mean.max())


def _cell(said: Sequence[tuple[str, float]], gold: Sequence[str]) -> str:
    right = np.array([label == wanted for (label, _), wanted in zip(said, gold, strict=True)])
    sure = np.array([confidence >= THRESHOLD for _, confidence in said])
    return f"{right.mean():.1%} ({1 - right[sure].mean():.1%})"


if __name__ == "__main__":
    main()
