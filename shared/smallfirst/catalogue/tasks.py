"""Tasks: what is asked of a text, with its examples and cascade. `kinds` owns each kind's part."""

import unicodedata
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, PrivateAttr, model_validator

from smallfirst.catalogue.audits import AnyAudit, Audit, WhenBroken
from smallfirst.catalogue.drifts import Alarm, Drift
from smallfirst.catalogue.promises import Promise
from smallfirst.catalogue.shadows import Shadow
from smallfirst.catalogue.steps import AnyStep, Otherwise, PersonStep, RuleStep
from smallfirst.jobs import MAX_TEXT_CHARS
from smallfirst.kinds import KINDS, Example, HeadForm, Kind, TaskKeys, named
from smallfirst.kinds.entries import Place, refuse
from smallfirst.kinds.labels import unknown_label
from smallfirst.wording import did_you_mean


class Task(TaskKeys):
    """What is asked of a text."""

    kind: Kind = Field(description="The kind of the task: what its answer looks like.")
    description: str = Field(default="", description="One sentence that says what the task is for.")
    instructions: str | None = Field(
        default=None,
        min_length=1,
        description="Further instructions to a large model, in plain words.",
    )
    max_answer_tokens: int | None = Field(
        default=None,
        ge=1,
        le=32_768,
        description="The most tokens of an answer that a large model writes.",
    )
    examples: tuple[Example, ...] = Field(
        default=(),
        description="The examples, inline or as the path of a JSON Lines file relative to the"
        " catalogue.",
    )
    shots: int = Field(
        default=8,
        ge=0,
        le=64,
        description="The most examples that a large model is shown with a text; where there are"
        " more, those nearest to the text.",
    )
    cascade: tuple[AnyStep, ...] = Field(min_length=1, description="The steps, cheapest first.")
    max_chars: int = Field(
        default=MAX_TEXT_CHARS,
        ge=1,
        le=MAX_TEXT_CHARS,
        description="The most characters of a text; a longer one is refused.",
    )
    audit: AnyAudit | None = Field(
        default=None,
        description="The share of accepted answers that people check blind, such as 0.01, or an"
        " audit with its settings; none: nothing is checked.",
    )
    drift: Drift | None = Field(
        default=None,
        description="When it is held that the task's jobs have changed, against the rows it was"
        " calibrated on, such as `{alarm: alert}`; none: no alarm is raised.",
    )
    shadow: Shadow | None = Field(
        default=None,
        description="The task in whose shadow this one runs, as a candidate for its place, such as"
        " `{of: topic, share: 0.05}`; none: it is a task that jobs may name.",
    )
    reads: Literal["all", "message"] = Field(
        default="all",
        description="What models with a head read of a text: `all` of it, or, of a mail, the"
        " `message` alone, without quoted mails, signature and legal notice.",
    )

    #: What calibration promised of the cascade; set where the catalogue is read from its file.
    _promise: Promise | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "Task":
        refuse(
            (
                *_key_problems(self),
                *_label_problems(self),
                *KINDS[self.kind].task_problems(self),
                *_rule_problems(self),
                *_person_problems(self),
                *_example_problems(self),
                *_audit_problems(self),
                *_drift_problems(self),
                *_reading_problems(self),
                *_shadow_problems(self),
            )
        )
        return self

    @property
    def machine_steps(self) -> tuple[AnyStep, ...]:
        """The steps that ask no person: those that are calibrated, and that are scored."""
        return tuple(step for step in self.cascade if not isinstance(step, PersonStep))

    @property
    def asks(self) -> tuple[str, ...]:
        """The models that its steps ask, each once, in their order."""
        return tuple(dict.fromkeys(model for step in self.cascade for model in step.asks))

    @property
    def asks_several(self) -> bool:
        """Whether two people answer a job, each unshown the other's answer."""
        return self.person_step is not None and self.person_step.person.reviewers > 1

    @property
    def person_step(self) -> PersonStep | None:
        """The step that asks a person, where there is one."""
        last = self.cascade[-1] if self.cascade else None
        return last if isinstance(last, PersonStep) else None

    @property
    def promise(self) -> Promise | None:
        """What calibration promised of its cascade, where some step goes by that."""
        return self._promise

    def with_promise(self, promise: Promise, cascade: tuple[AnyStep, ...]) -> "Task":
        """The same task, its steps going by a promise."""
        task = self.model_copy(update={"cascade": cascade})
        task._promise = promise  # noqa: SLF001 - of its own kind
        return task


def example_problem(example: Example, task: Task) -> str | None:
    """Say what keeps an example from serving a task; None where nothing does."""
    spec = KINDS[task.kind]
    if spec.example_key is not None and getattr(example, spec.example_key) is None:
        return f"needs `{spec.example_key}`, since the task's kind is {task.kind}"
    return spec.example_problem(example, task) or unknown_label(spec.labels_of(example), task)


def _key_problems(task: Task) -> Iterator[tuple[Place, str]]:
    """Say which keys a task lacks for its kind, and which are another kind's."""
    needs = KINDS[task.kind].needs
    for key in TaskKeys.model_fields:
        what = key if key.endswith("s") else f"a {key}"
        if key in needs and not getattr(task, key):
            yield (key,), f"{named(task.kind)} needs {what}"
        if key not in needs and getattr(task, key):
            owners = ", ".join(f"`{kind}`" for kind, spec in KINDS.items() if key in spec.needs)
            yield (key,), f"{named(task.kind)} has no {key}; that is for tasks of kind {owners}"


def _label_problems(task: Task) -> Iterator[tuple[Place, str]]:
    """Say which labels nobody can see, or tell apart from another."""
    seen: dict[str, str] = {}
    for label in task.labels:
        if all(unicodedata.category(char)[0] in "CZ" for char in label):
            yield ("labels", label), f"the label {label!a} has no character that can be seen"
        twin = seen.setdefault(unicodedata.normalize("NFC", label), label)
        if twin != label:
            rule = f"looks like {twin!r} and is written with other characters ({label!a})"
            yield ("labels", label), f"{rule}; keep one"


def _reading_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.reads == "message" and KINDS[task.kind].head in {None, HeadForm.VECTOR}:
        yield ("reads",), f"{named(task.kind)} is read whole; `message` is for tasks with labels"


def _rule_problems(task: Task) -> Iterator[tuple[Place, str]]:
    for index, step in enumerate(task.cascade):
        if not isinstance(step, RuleStep):
            continue
        at: Place = ("cascade", index, "rule")
        if not KINDS[task.kind].allows_rules:
            kinds = " and ".join(f"`{kind}`" for kind, spec in KINDS.items() if spec.allows_rules)
            yield at, f"a rule answers {kinds} tasks, and this one is {task.kind}"
            continue
        for label in step.rule.labels:
            if label not in task.labels:
                near = did_you_mean(label, task.labels)
                yield at, f"finds {label!r}, which is not one of the task's labels{near}"


def _person_problems(task: Task) -> Iterator[tuple[Place, str]]:
    for index, step in enumerate(task.cascade):
        if not isinstance(step, PersonStep):
            continue
        at: Place = ("cascade", index, "person")
        if index < len(task.cascade) - 1:
            yield at, "a person is asked last, and once; make it the last step of the cascade"
        if KINDS[task.kind].head is HeadForm.VECTOR:
            yield at, f"a person cannot write the answer of {named(task.kind)}; leave the step out"
        is_best = step.person.otherwise is Otherwise.BEST
        if is_best and len(task.cascade) == 1 and step.person.reviewers == 1:
            yield (*at, "otherwise"), "no other step answers, so none is the best; say `abstain`"


def _audit_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.audit is None:
        return
    spec, at = KINDS[task.kind], ("audit",)
    if spec.head is HeadForm.VECTOR:
        yield at, f"a person cannot write the answer of {named(task.kind)}; leave the audit out"
    elif spec.scoring is None:
        yield at, f"{spec.unscored}, so that no audit can count what is wrong; leave it out"
    elif not task.machine_steps:
        yield at, "no machine answers this task, so nothing is there to check; leave the audit out"
    elif task.audit.when_broken is WhenBroken.STOP and not any(
        s.is_calibrated for s in task.cascade
    ):
        rule = "no step says `accept: calibrated`, so no promise can be broken; calibrate one"
        yield (*at, "when_broken"), f"{rule}, or say `warn`"
    elif all(getattr(task, key) for key in spec.needs):
        yield from golden_problems(task.audit, task)


def _drift_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.drift is None:
        return
    if not any(step.is_calibrated for step in task.cascade):
        rule = "no step says `accept: calibrated`, so there are no rows to compare jobs with"
        yield ("drift",), f"{rule}; calibrate one, or leave the drift out"
    elif task.drift.alarm is Alarm.AUDIT_MORE and task.audit is None:
        rule = "the task has no `audit`, so there is no share of checks to raise"
        yield ("drift", "alarm"), f"{rule}; add one, or say `alert`"


def _shadow_problems(task: Task) -> Iterator[tuple[Place, str]]:
    """Say what a candidate's own entry may not have."""
    if task.shadow is None:
        return
    spec = KINDS[task.kind]
    if spec.scoring is None:
        yield ("shadow",), f"{spec.unscored}, so that nothing can be compared; leave the shadow out"
    if task.person_step is not None:
        rule = "asks a person, and a shadow takes nobody's time; leave that step out"
        yield ("cascade", len(task.cascade) - 1, "person"), rule
    if task.audit is not None:
        yield ("audit",), "the checks of the task that it is in shadow of count; leave this out"


def golden_problems(audit: Audit, task: Task) -> Iterator[tuple[Place, str]]:
    """Say which golden rows do not serve a task."""
    for index, row in enumerate(audit.golden):
        problem = example_problem(row, task)
        if problem:
            yield ("audit", "golden", index), problem


def _example_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if not all(getattr(task, key) for key in KINDS[task.kind].needs):
        return
    for index, example in enumerate(task.examples):
        problem = example_problem(example, task)
        if problem:
            yield ("examples", index), problem
