"""The engine of the SLM tier: a batch of questions in, an answer each, one forward pass between.

Questions of several tasks share the pass when their heads share the encoder. It knows nothing of
Redis, Celery or cascades.
"""

import gc
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import structlog

from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer, with_reasons
from smallfirst.catalogue import Model, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.jobs import Problem
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.encoding.encoder import Encoder
from smallfirst_workers.encoding.isolation import isolate
from smallfirst_workers.encoding.loading import load_encoder
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.engines import NO_MODELS, EngineRequest, EngineResult, LoadContext
from smallfirst_workers.errors import TaskError
from smallfirst_workers.heads.choosing import Chooser
from smallfirst_workers.heads.explain import is_explained
from smallfirst_workers.heads.fitting import folder_of, trained_head
from smallfirst_workers.heads.heads import Head, LinearHead, own_head, trained_beside
from smallfirst_workers.heads.nearest import NearestExample, nearest_example
from smallfirst_workers.heads.skills import Skill
from smallfirst_workers.heads.taught import TaughtRows
from smallfirst_workers.problems import MODEL_ERROR, NOT_LOADED, NOTHING_TO_READ
from smallfirst_workers.slm.occlusion import Occluded, Question, occlude
from smallfirst_workers.slm.one_pass import OnePass

#: A task, and the models whose mean its step asks; see `StepOptions.models`.
SkillName = tuple[str, tuple[str, ...]]

log = structlog.get_logger()


@dataclass(frozen=True)
class _Answered:
    """One question's answer, its share of its text's tokens, its windows, its pass's positions."""

    answer: Answer | Problem
    num_tokens: int
    num_windows: int = 1
    positions: int = 0


class SlmEngine:
    """A small model, loaded, and the tasks it was prepared for.

    `prepare` may run in one thread while `run` runs in another: the skills change in one move.

    Attributes:
        name: Of the model in the catalogue.
        folder: Its files.
        encoder: Its tokenizer and runtime.
    """

    def __init__(
        self, name: str, folder: ModelFolder, encoder: Encoder, *, model: Model, cache: Path
    ) -> None:
        self.name = name
        self.folder = folder
        self.encoder = encoder
        self._model = model
        self._cache = cache
        self._skills: dict[SkillName, Skill] = {}
        self._wanted: frozenset[SkillName] = frozenset()

    @classmethod
    def load(
        cls, name: str, model: Model, folder: Path, *, cache: Path, threads: int
    ) -> "SlmEngine":
        """Load a model, converting it first if no process has yet.

        Args:
            name: Of the model in the catalogue.
            model: What the catalogue says of it.
            folder: Where its files lie.
            cache: Folder of what is made once and shared by all processes.
            threads: How many compute one pass. One, and a process per core, is fastest.

        Raises:
            ModelError: When it cannot be loaded.
        """
        files = ModelFolder.open(name, folder, model.outputs)
        encoder = load_encoder(files, model, cache=cache, threads=threads)
        return cls(name, files, encoder, model=model, cache=cache)

    @property
    def revision(self) -> str:
        """Which version of the model answers: the hub's commit, or a hash of its files."""
        return self._model.revision or self.folder.content_hash[:12]

    def revision_of(self, task: str, options: StepOptions = NO_OPTIONS) -> str:
        """Which version of the model answers a step, and of the task's head where it has one."""
        skill = self._skills.get((task, options.models))
        return skill.revision(self.revision) if skill else self.revision

    def head_of(self, task: str, options: StepOptions = NO_OPTIONS) -> Head | None:
        """What judges a task, where it is prepared and has labels."""
        skill = self._skills.get((task, options.models))
        return skill.head if skill else None

    def prepare(self, tasks: Mapping[str, Task], models: Mapping[str, Model] = NO_MODELS) -> None:
        """Make ready for exactly these tasks. Trains what no process has trained yet.

        What a task's steps wanted until now stays ready until the next change: jobs are on their
        way that were sent by it.

        Raises:
            TaskError: When a task cannot be served; those prepared before go on being served.
            CatalogueError, ModelFilesError: The same, when a linear model cannot be had.
        """
        skills = {}
        for name, task in tasks.items():
            for asked in self._asked_in(task):
                skills[name, asked] = self._skill(name, task, asked, models)
        known = self._skills.items()
        before = {at: skill for at, skill in known if at in self._wanted and at[0] in tasks}
        self._wanted = frozenset(skills)
        self._skills = before | skills

    def run(self, asked: Sequence[EngineRequest]) -> EngineResult:
        """Answer a batch in one forward pass, or as few as make sense (see `Encoder.read`).

        A text that several questions are about is read once, and they share its tokens. A question
        that cannot be answered has a Problem in its place and harms no other.

        Raises:
            MemoryError: When the machine has not enough memory for the batch.
        """
        started = perf_counter()
        answered = isolate(asked, self._answer, instead=self._give_up) if asked else []
        return EngineResult(
            answers=[one.answer for one in answered],
            tokens=[one.num_tokens for one in answered],
            padded_tokens=sum(one.positions for one in answered),
            windows=[one.num_windows for one in answered],
            seconds=perf_counter() - started,
        )

    def unload(self) -> None:
        """Let go of the model and its heads; the engine is of no use afterwards."""
        self._skills = {}
        del self.encoder
        gc.collect()

    def _asked_in(self, task: Task) -> Iterable[tuple[str, ...]]:
        """Whose mean the steps of a task want that ask this model."""
        wanted = (step.options.models for step in task.cascade if self.name in step.asks)
        return dict.fromkeys(wanted) or [NO_OPTIONS.models]

    def _skill(
        self, name: str, task: Task, asked: tuple[str, ...], models: Mapping[str, Model]
    ) -> Skill:
        head = self._head(name, task)
        taught = self._taught(head)
        chooser = Chooser(self.name, models, self._cache)
        if head is not None and asked:
            head = chooser.mean(name, task, head, asked)
        elif isinstance(head, LinearHead) and not self.folder.has_head:
            head = chooser.best(name, task, head)
        nearest = self._nearest(name, task) if self._is_asked_how_foreign(task) else None
        reads_message = task.reads == "message"
        return Skill(task.kind, head, reads_message, nearest=nearest, taught=taught)

    def _is_asked_how_foreign(self, task: Task) -> bool:
        steps = [step for step in task.cascade if self.name in step.asks]
        return any(step.acceptance.foreign is not None for step in steps)

    def _nearest(self, name: str, task: Task) -> NearestExample:
        if self.folder.classifier is not None:
            rule = (
                f"has `foreign`, but models.{self.name} is a classifier without states to compare"
            )
            raise TaskError(name, rule)
        return nearest_example(name, task, self.encoder, features=self._features, cache=self._cache)

    def _head(self, name: str, task: Task) -> Head | None:
        """What judges a task by the states of the encoder alone."""
        if self.folder.classifier is not None:
            return own_head(name, task, self.folder, self._features)
        if KINDS[task.kind].head is HeadForm.VECTOR:
            return None
        if self.folder.has_head:
            return trained_beside(name, task, self.folder, self.encoder.pooling, self._features)
        return trained_head(name, task, self.encoder, features=self._features, cache=self._cache)

    def _taught(self, head: Head | None) -> TaughtRows | None:
        """The rows beside a head that was trained, here or by a training."""
        if not isinstance(head, LinearHead) or head.form is HeadForm.WORDS:
            return None
        is_beside = self.folder.has_head
        return TaughtRows(self.folder.path if is_beside else folder_of(head.key, self._cache))

    @property
    def _features(self) -> str:
        """Everything that decides what states a text gets."""
        reader, runtime = self.encoder.reader, self.encoder.runtime
        parts = (self.folder.content_hash, runtime.name, self.encoder.pooling, reader.max_tokens)
        return " ".join(map(str, parts))

    def _answer(self, asked: Sequence[EngineRequest]) -> list[_Answered]:
        """Answer questions together; raises whatever any of them raises."""
        read = [self._read_of(one) for one in asked]
        wants_words = dict.fromkeys(read, False)
        for one, text in zip(asked, read, strict=True):
            wants_words[text] |= self._wants_words(one)
        found, positions = self.encoder.read(
            list(wants_words), wants_words=list(wants_words.values())
        )
        states = dict(zip(wants_words, found, strict=True))
        answers = self._judged(asked, [states[text] for text in read])
        tokens = _share_tokens(read, states)
        shares = [positions, *[0] * (len(asked) - 1)]
        windows = [max(1, states[text].num_windows) for text in read]
        answered = list(map(_Answered, answers, tokens, windows, shares))
        of_each = [states[text] for text in read]
        return self._with_alike(asked, of_each, self._with_occlusion(asked, of_each, answered))

    def _with_occlusion(
        self,
        asked: Sequence[EngineRequest],
        states: Sequence[TextStates],
        answered: list[_Answered],
    ) -> list[_Answered]:
        """Explain what is asked for and is no sum over words, in one batch more.

        Its tokens are those of the questions that asked, so that no other pays for them.
        """
        if not any(one.explain for one in asked):
            return answered
        heads = {number: self._occluded_head(one) for number, one in enumerate(asked)}
        questions = {
            number: Question(states[number], head)
            for number, head in heads.items()
            if head is not None and isinstance(answered[number].answer, LabelAnswer | LabelsAnswer)
        }
        if not questions:
            return answered
        found, positions = occlude(self.encoder, list(questions.values()))
        told = list(answered)
        for number, occluded in zip(questions, found, strict=True):
            told[number] = _with_reasons(answered[number], occluded)
        told[0] = replace(told[0], positions=told[0].positions + positions)
        return told

    def _with_alike(
        self,
        asked: Sequence[EngineRequest],
        states: Sequence[TextStates],
        answered: Sequence[_Answered],
    ) -> list[_Answered]:
        """Name the rows that texts are like, where it is asked why."""
        told = list(answered)
        for number, one in enumerate(asked):
            skill, answer = self._skill_of(one), answered[number].answer
            if one.explain and skill is not None and not isinstance(answer, Problem):
                alike = skill.with_alike(answer, states[number])
                told[number] = replace(answered[number], answer=alike)
        return told

    def _occluded_head(self, asked: EngineRequest) -> Head | None:
        """What judges a question that is to be explained by leaving words out; else None."""
        skill = self._skill_of(asked) if asked.explain else None
        if skill is None or skill.head is None or skill.reads_words:
            return None
        is_sum = self._can_explain and is_explained(skill.head)
        return None if is_sum else skill.head

    def _skill_of(self, asked: EngineRequest) -> Skill | None:
        return self._skills.get(_skill_name(asked))

    def _read_of(self, asked: EngineRequest) -> str:
        skill = self._skill_of(asked)
        return skill.read_of(asked.text) if skill else asked.text

    def _wants_words(self, asked: EngineRequest) -> bool:
        skill = self._skill_of(asked)
        is_tagged = skill is not None and skill.reads_words
        return is_tagged or (asked.explain and self._can_explain)

    @property
    def _can_explain(self) -> bool:
        """Whether a text's vector is a sum over its tokens; see `explain`."""
        return self.folder.classifier is None and self.encoder.pooling == "mean"

    def _judged(
        self, asked: Sequence[EngineRequest], states: Sequence[TextStates]
    ) -> list[Answer | Problem]:
        """Answer each question from its text's states, those of one skill together."""
        skills, answers = self._skills, dict[int, Answer | Problem]()
        together: dict[SkillName, list[int]] = defaultdict(list)
        for number, (one, of_text) in enumerate(zip(asked, states, strict=True)):
            if (name := _skill_name(one)) not in skills:
                answers[number] = NOT_LOADED
            elif of_text.is_empty:
                answers[number] = NOTHING_TO_READ
            else:
                together[name].append(number)
        for name, numbers in together.items():
            own = [asked[number] for number in numbers]
            found = skills[name].answers(
                [states[number] for number in numbers],
                explained=[n for n, one in enumerate(own) if one.explain and self._can_explain],
                known={n: one.known for n, one in enumerate(own) if one.known},
            )
            answers.update(zip(numbers, found, strict=True))
        return [answers[number] for number in range(len(asked))]

    def _give_up(self, asked: EngineRequest, err: Exception) -> list[_Answered]:
        """Answer a question that raises on its own.

        The text is the producer's and the error's message may quote it, so neither is told.
        """
        frame = traceback.extract_tb(err.__traceback__)[-1]
        kind = type(err).__name__
        log.warning(
            "text.failed",
            model=self.name,
            task=asked.task,
            num_chars=len(asked.text),
            error=kind,
            where=f"{Path(frame.filename).name}:{frame.lineno}",
            consequence="this job fails at this step; its batch-mates are answered",
        )
        problem = Problem(code=MODEL_ERROR, message=f"The model failed on this text ({kind}).")
        return [_Answered(problem, 0)]


def _with_reasons(answered: _Answered, occluded: Occluded) -> _Answered:
    answer, reasons = answered.answer, occluded.reasons
    if reasons is not None and isinstance(answer, LabelAnswer | LabelsAnswer):
        answer = with_reasons(answer, reasons)
    num_tokens = answered.num_tokens + occluded.num_tokens
    return replace(answered, answer=answer, num_tokens=num_tokens)


def _skill_name(asked: EngineRequest) -> SkillName:
    return asked.task, asked.options.models


def load(name: str, model: Model, context: LoadContext) -> OnePass:
    """Load a small model for a worker; see `LoadEngine`."""
    folder, cache = model_folder(model), context.cache
    engine = SlmEngine.load(name, model, folder, cache=cache, threads=context.threads)
    return OnePass(engine, context.clock)


def _share_tokens(read: Sequence[str], states: Mapping[str, TextStates]) -> list[int]:
    """Share each text's tokens evenly among the questions about it; what is odd goes first."""
    questions = Counter(read)
    met = Counter[str]()
    shares = []
    for text in read:
        later = questions[text] - met[text] - 1
        shares.append((states[text].num_tokens + later) // questions[text])
        met[text] += 1
    return shares
