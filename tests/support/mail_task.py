"""A task of forty short mails, each plainly of one label."""

from smallfirst.catalogue import Task

ABOUT = {
    "billing": ("the invoice", "my refund", "a double charge", "your price", "the payment"),
    "delivery": ("the parcel", "my courier", "a lost box", "your van", "the tracking"),
}
FRAMES = ("Where is {}?", "I wait for {} since Monday.", "{} is wrong again", "please check {}")


def task_of(kind: str = "classify") -> Task:
    """A task with examples of both labels; of both together, where that may be."""
    is_choice = kind == "classify"
    examples: list[dict[str, object]] = [
        {"text": frame.format(what), **({"label": label} if is_choice else {"labels": [label]})}
        for label, things in ABOUT.items()
        for what in things
        for frame in FRAMES
    ]
    if not is_choice:
        both = zip(*ABOUT.values(), strict=True)
        examples += [{"text": f"{a} and {b}", "labels": list(ABOUT)} for a, b in both]
    labels = dict.fromkeys(ABOUT, "about it")
    cascade = [{"model": "words"}]
    said = {"kind": kind, "labels": labels, "examples": examples, "cascade": cascade}
    return Task.model_validate(said)
