"""Checking a catalogue whole, before anything starts: whatever a router or a worker would refuse.

Every rule stands where they read it too (`loading`, `placement`, `model_tasks`, `expressions`), so
what is approved here is accepted there. Nothing is loaded or trained, and nobody is asked. So three
things show only at a start: whether a network's files fit its architecture, whether an endpoint
answers, and whether a promise is still that of the model's files.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from smallfirst.catalogue import (
    Catalogue,
    Example,
    MeanStep,
    Model,
    Place,
    RuleStep,
    Step,
    Task,
    place_text,
)
from smallfirst.catalogue.encoder_config import EncoderConfig, read_encoder_config
from smallfirst.catalogue.encoder_files import check_tokenizer, pooling_of, reading_problem
from smallfirst.catalogue.expressions import (
    ExpressionError,
    can_compile,
    compile_expression,
    number_check,
)
from smallfirst.catalogue.file_stamps import StampedFiles
from smallfirst.catalogue.loading import read_catalogue
from smallfirst.catalogue.model_files import check_weights, model_folder
from smallfirst.catalogue.model_tasks import (
    encoder_problem,
    examples_problem,
    is_of_pairs,
    linear_problem,
    renaming_problem,
)
from smallfirst.catalogue.placement import pool_of
from smallfirst.catalogue.word_borders import REMEDY, blind_patterns
from smallfirst.errors import CatalogueError, CatalogueProblem, ModelFilesError
from smallfirst.jobs import Tier
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.wording import numbered


@dataclass(frozen=True)
class Finding:
    """One thing that was found in a catalogue.

    Attributes:
        problem: Where it stands, and what is wrong.
        remedy: What to do, where the problem does not say it.
        is_fatal: Whether a router or a worker refuses it; else it is worth a look.
    """

    problem: CatalogueProblem
    remedy: str = ""
    is_fatal: bool = True

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}" if self.remedy else str(self.problem)


@dataclass(frozen=True)
class CheckedCatalogue:
    """A catalogue with all that was found in it.

    Attributes:
        catalogue: None where it cannot be read.
        findings: In the order of the file, as far as that is known.
        files: Every file that was read of it, with its stamp; those of models are not among them.
    """

    catalogue: Catalogue | None
    findings: tuple[Finding, ...]
    files: StampedFiles

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """What a router or a worker refuses."""
        return tuple(finding for finding in self.findings if finding.is_fatal)

    def unwrap(self) -> Catalogue:
        """Return the catalogue, or raise all that keeps it from being served.

        Raises:
            CatalogueError: When anything does.
        """
        problems = [
            CatalogueProblem(each.problem.path, each.problem.line, each.problem.where, _rule(each))
            for each in self.fatal
        ]
        if problems:
            raise CatalogueError(*problems)
        assert self.catalogue is not None
        return self.catalogue


def _rule(finding: Finding) -> str:
    return "; ".join(part for part in (finding.problem.rule, finding.remedy) if part)


@dataclass(frozen=True)
class _Remark:
    """A finding before its line is known."""

    place: Place
    reason: str
    remedy: str = ""
    is_fatal: bool = True


def check_catalogue(path: Path) -> CheckedCatalogue:
    """Read a catalogue with its examples and promises, and look at the files of its models."""
    reading = read_catalogue(path)
    problems = reading.error.problems if reading.error else ()
    found = list(map(Finding, problems))
    read = reading.catalogue or reading.draft
    spoiled = {problem.where.split(".")[1] for problem in problems if "." in problem.where}
    for each in _remarks(read) if read else ():
        # Of a task whose rows are wrong, those that are right alone tell nothing.
        if each.place[0] == "tasks" and each.place[1] in spoiled:
            continue
        at = CatalogueProblem(
            path, reading.line_of(each.place), place_text(each.place), each.reason
        )
        found.append(Finding(at, each.remedy, each.is_fatal))
    # Those of other files come behind, in the order in which they were found.
    own = [each for each in found if each.problem.path == path]
    own.sort(key=lambda finding: finding.problem.line or 0)
    others = [each for each in found if each.problem.path != path]
    return CheckedCatalogue(reading.catalogue, (*own, *others), reading.files)


def _remarks(catalogue: Catalogue) -> Iterator[_Remark]:
    configs: dict[str, EncoderConfig] = {}
    for name, model in catalogue.models.items():
        yield from _of_model(name, model, catalogue, configs)
    for name, task in catalogue.tasks.items():
        yield from _of_task(name, task, catalogue, configs)
        yield from _of_labels(name, task)
        yield from _of_examples(name, task)
        yield from _of_patterns(name, task)
    for place, reason in blind_patterns(catalogue):
        yield _Remark(place, reason, REMEDY, is_fatal=False)


def _of_model(
    name: str, model: Model, catalogue: Catalogue, configs: dict[str, EncoderConfig]
) -> Iterator[_Remark]:
    """Look at a model's place and files; keep in `configs` what a small one says of itself."""
    at = ("models", name)
    if model.engine_spec.is_in_router:
        yield from _of_packages(name, model)
        return
    try:
        pool_of(model, catalogue)
    except ModelFilesError as error:
        yield _Remark((*at, "source"), f"{error.source}: {error.reason}", error.remedy)
        return
    except ValueError as error:
        yield _Remark(at, str(error), _pool_remedy(model))
    try:
        yield from _of_files(name, model, configs)
    except ModelFilesError as error:
        yield _Remark((*at, "source"), f"{error.source}: {error.reason}", error.remedy)


def _of_packages(name: str, model: Model) -> Iterator[_Remark]:
    """Look whether what a model in the router needs is installed, as it is beside a router."""
    implementation = model.engine_spec.implementation
    if missing := implementation.missing_packages():
        reason = f"needs {', '.join(missing)}, not installed here"
        yield _Remark(("models", name), reason, implementation.install_hint, is_fatal=False)


def _pool_remedy(model: Model) -> str:
    if model.is_remote:
        return "give the catalogue a pool of tier llm with `remote: true`"
    return f"give the catalogue a larger pool of the tier {model.tier}"


def _of_files(name: str, model: Model, configs: dict[str, EncoderConfig]) -> Iterator[_Remark]:
    """Look at a model's files, where they are on this machine.

    Raises:
        ModelFilesError: When they lack something.
    """
    folder = _folder_here(model)
    if folder is None:
        return
    check_tokenizer(folder)
    if model.tier is not Tier.SLM:
        if model.runner == "pooling":
            pooling_of(model, folder)
        return
    check_weights(folder)
    config = read_encoder_config(folder, model.outputs)
    pooling_of(model, folder)
    if problem := renaming_problem(config):
        yield _Remark(("models", name, "outputs"), problem)
        return
    if problem := reading_problem(model, config):
        yield _Remark(("models", name), f"{model.source}: {problem}")
    configs[name] = config
    if is_of_pairs(config):
        labels = ", ".join(config.given_labels)
        reason = f"{model.source}: its labels ({labels}) are of two texts; a job has one"
        remedy = "it fits where a text holds both, as it was trained; else take another model"
        yield _Remark(("models", name), reason, remedy, is_fatal=False)


def _folder_here(model: Model) -> Path | None:
    """A model's folder; None where its files are elsewhere, and the catalogue declares its size."""
    if model.is_remote:
        return None
    try:
        return model_folder(model)
    except ModelFilesError:
        return None


def _of_task(
    name: str, task: Task, catalogue: Catalogue, configs: Mapping[str, EncoderConfig]
) -> Iterator[_Remark]:
    """Look whether the models that make vectors can answer a task."""
    for number, step in enumerate(task.cascade):
        for asked in step.asks:
            model = catalogue.models[asked]
            try:
                problem = _misfit(task, model, asked, configs)
            except ModelFilesError as error:
                yield _Remark(("models", asked, "source"), f"{error.reason}", error.remedy)
                continue
            if problem:
                yield _Remark(_blamed(name, number, step, problem), problem)


def _misfit(
    task: Task, model: Model, name: str, configs: Mapping[str, EncoderConfig]
) -> str | None:
    if model.engine_spec.is_in_router:
        return linear_problem(task, model, name)
    if name in configs:
        return encoder_problem(task, model, name, configs[name])
    is_pooling = model.tier is Tier.LLM and model.engine_spec.embeds
    has_head = KINDS[task.kind].head not in {None, HeadForm.VECTOR}
    return examples_problem(task) if is_pooling and has_head else None


def _blamed(name: str, number: int, step: Step, problem: str) -> Place:
    """Point at what is most likely to be mended: examples, labels, or the step."""
    if "example" in problem:
        return ("tasks", name, "examples")
    asked = "models" if isinstance(step, MeanStep) else "model"
    key: Place = ("labels",) if "must have the labels" in problem else ("cascade", number, asked)
    return ("tasks", name, *key)


def _of_labels(name: str, task: Task) -> Iterator[_Remark]:
    """Warn of labels that differ in their case alone: people and large models mix them up."""
    folded = Counter(label.casefold() for label in task.labels)
    twins = [label for label in task.labels if folded[label.casefold()] > 1]
    if twins:
        named = ", ".join(map(repr, twins))
        reason = f"{named} differ in upper and lower case alone"
        yield _Remark(("tasks", name, "labels"), reason, "give one another name", is_fatal=False)


def _of_examples(name: str, task: Task) -> Iterator[_Remark]:
    """Warn of examples that contradict each other or themselves; no text is quoted."""
    at = ("tasks", name, "examples")
    pairs = _contradictions(task)
    if pairs:
        first, second = pairs[0]
        said = numbered(len(pairs), "text stands", "texts stand")
        reason = f"{said} there again with another answer"
        reason += f" (first: numbers {first} and {second})"
        yield _Remark(at, reason, "keep the right one of each", is_fatal=False)
    torn = [number for number, each in enumerate(task.examples, start=1) if _overlaps(each)]
    if torn:
        said = numbered(len(torn), "example has", "examples have")
        reason = f"{said} spans of two labels that overlap (first: number {torn[0]})"
        remedy = "a word has one label: part them, or keep one"
        yield _Remark(at, reason, remedy, is_fatal=False)


def _contradictions(task: Task) -> list[tuple[int, int]]:
    """The numbers, from 1, of examples of one text with two answers: of each text the first two."""
    spec = KINDS[task.kind]
    if spec.scoring is None:
        return []
    seen: dict[str, tuple[int, object]] = {}
    found: dict[str, tuple[int, int]] = {}
    for number, example in enumerate(task.examples, start=1):
        first, answer = seen.setdefault(example.text, (number, spec.gold_of(example)))
        if spec.gold_of(example) != answer:
            found.setdefault(example.text, (first, number))
    return list(found.values())


def _overlaps(example: Example) -> bool:
    """Whether two spans of different labels share a character."""
    spans = sorted(example.spans or (), key=lambda span: (span.start, span.end))
    reach = {span.label: 0 for span in spans}
    for span in spans:
        if any(end > span.start for label, end in reach.items() if label != span.label):
            return True
        reach[span.label] = max(reach[span.label], span.end)
    return False


def _of_patterns(name: str, task: Task) -> Iterator[_Remark]:
    """Compile what the router would."""
    has_patterns = False
    for number, step in enumerate(task.cascade):
        patterns = step.rule.patterns if isinstance(step, RuleStep) else ()
        for index, pattern in enumerate(patterns):
            has_patterns = True
            if not can_compile():
                continue
            at = ("tasks", name, "cascade", number, "rule", "patterns", index)
            try:
                compile_expression(pattern)
                number_check(pattern)
            except ExpressionError as error:
                yield _Remark(at, f"{pattern.label}: {error}")
    if has_patterns and not can_compile():
        remedy = "pip install 'smallfirst[router]', and check again"
        reason = "its patterns were not compiled: RE2 is not installed here"
        yield _Remark(("tasks", name), reason, remedy, is_fatal=False)
