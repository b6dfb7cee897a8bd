"""The linear models of a router: trained beside it, loaded once, and told where they cannot be."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smallfirst.acceptance import OTHER_REVISION, RAISED, Acceptance, Thresholds
from smallfirst.answers import LabelAnswer
from smallfirst.catalogue import Catalogue, Shadow
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.errors import CatalogueError
from smallfirst.jobs import Job, Outcome
from smallfirst.linear.fitting import train
from smallfirst_router.cascade import LocalModel, plan_of
from smallfirst_router.errors import StillTraining
from smallfirst_router.linear_models import LinearModels

CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {words: {tier: linear, source: "bundled:words"}}
tasks:
  topic:
    kind: classify
    labels: {billing: money, delivery: parcels}
    examples:
      - {text: where is my refund, label: billing}
      - {text: the invoice is wrong, label: billing}
      - {text: where is my parcel, label: delivery}
      - {text: the courier is late, label: delivery}
    cascade: [{model: words, accept: 0.5}]
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A catalogue that a linear model serves alone."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return load_catalogue(path)


@pytest.fixture
def models(tmp_path: Path) -> Iterator[LinearModels]:
    """A router's linear models, none of them trained yet."""
    models = LinearModels(tmp_path / "cache")
    yield models
    models.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LinearModels:
    """A router's linear models, the catalogue's trained."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    models = LinearModels(folder / "cache")
    train("topic", load_catalogue(folder / "catalogue.yaml").tasks["topic"], folder / "cache")
    return models


def with_examples(catalogue: Catalogue, num: int) -> Catalogue:
    """The same catalogue with fewer examples."""
    task = catalogue.tasks["topic"]
    fewer = task.model_copy(update={"examples": task.examples[:num]})
    return catalogue.model_copy(update={"tasks": {"topic": fewer}})


def test_a_model_is_trained_beside_the_router(catalogue: Catalogue, models: LinearModels) -> None:
    """Until it is there, whoever asks is told so at once; then it is loaded, once."""
    with pytest.raises(StillTraining, match="1 of its linear models"):
        models.skills_of(catalogue)
    models.train(catalogue, on_wait=lambda: None)
    skills = models.skills_of(catalogue)
    [answer] = skills["topic", "words"].answers(["my parcel"])
    assert isinstance(answer, LabelAnswer)
    assert answer.label == "delivery"
    assert models.skills_of(catalogue)["topic", "words"] is skills["topic", "words"]


def test_models_are_trained_two_at_a_time(catalogue: Catalogue, models: LinearModels) -> None:
    """However many a catalogue asks for, so many processes are started, and all are waited for."""
    task = catalogue.tasks["topic"]
    tasks = {
        f"topic-{n}": task.model_copy(update={"examples": task.examples * n}) for n in (1, 2, 3)
    }
    wanted = catalogue.model_copy(update={"tasks": tasks})
    with pytest.raises(StillTraining, match="3 of its linear models"):
        models.skills_of(wanted)
    assert len(models._trainings) == 2
    models.train(wanted, on_wait=lambda: None)
    assert len(models.skills_of(wanted)) == 3


def test_no_process_outlives_the_model_that_it_was_to_train(
    catalogue: Catalogue, models: LinearModels, tmp_path: Path
) -> None:
    """A model that is there is taken up, whoever made it and whatever still runs for it."""
    with pytest.raises(StillTraining):
        models.skills_of(catalogue)
    [training] = models._trainings.values()
    train("topic", catalogue.tasks["topic"], tmp_path / "cache")
    assert models.skills_of(catalogue)
    assert training.has_ended()
    assert not models._trainings


def test_examples_that_teach_nothing_are_told_at_once(
    catalogue: Catalogue, models: LinearModels
) -> None:
    """No process is started for a model that cannot be."""
    with pytest.raises(CatalogueError, match=r"tasks\.topic: has 1 example of 'delivery'"):
        models.skills_of(with_examples(catalogue, 3))


def test_a_candidate_that_cannot_be_trained_is_left_out_at_a_start(
    catalogue: Catalogue, models: LinearModels
) -> None:
    """And another one is trained; what is left is what a router goes on to serve."""
    [task] = catalogue.tasks.values()
    tasks = {
        "topic": task,
        "mail": task,
        "sound": task.model_copy(update={"shadow": Shadow(of="mail")}),
        "broken": task.model_copy(
            update={"shadow": Shadow(of="topic"), "examples": task.examples[:1]}
        ),
    }
    served = models.train(catalogue.model_copy(update={"tasks": tasks}), on_wait=lambda: None)
    assert set(served.tasks) == {"topic", "mail", "sound"}
    assert set(models.skills_of(served)) == {(name, "words") for name in served.tasks}


def test_a_catalogue_without_them_needs_nothing(catalogue: Catalogue, models: LinearModels) -> None:
    """What another catalogue had trained is given up."""
    with pytest.raises(StillTraining):
        models.skills_of(catalogue)
    assert models.skills_of(catalogue.model_copy(update={"tasks": {}})) == {}
    assert not models._trainings


def test_a_calibrated_answer_stands_for_its_revision_alone(
    catalogue: Catalogue, trained: LinearModels
) -> None:
    """The router judges as a worker does: threshold, temperature, revision."""
    plan = plan_of(catalogue, "r", trained.skills_of(catalogue))
    [step] = plan.tasks["topic"].steps
    assert isinstance(step.destination, LocalModel)
    skill, job = step.destination.skill, Job(task="topic", text="my parcel", explain=True)
    said = step.destination.ask(job)
    assert (said.outcome, said.threshold) == (Outcome.ACCEPTED, 0.5)
    assert isinstance(said.answer, LabelAnswer)
    assert said.answer.evidence

    softened = Acceptance(threshold=0.5, temperature=50.0, revision=skill.revision)
    assert LocalModel(skill, softened).ask(job).answer != said.answer
    for other in (Acceptance(revision="another"), Acceptance(threshold=1.0)):
        assert LocalModel(skill, other).ask(job).outcome is Outcome.ESCALATED
    assert LocalModel(skill, Acceptance(revision="another")).ask(job).reason == OTHER_REVISION
    held_back = step.destination.by(Thresholds(threshold="never")).ask(job)
    assert (held_back.outcome, held_back.reason) == (Outcome.ESCALATED, RAISED)
    assert (held_back.answer, held_back.threshold) == (said.answer, None)


def test_what_nobody_can_read_goes_on(catalogue: Catalogue, trained: LinearModels) -> None:
    """A text of which the model knows nothing goes to the next step, and the trail says why."""
    skill = trained.skills_of(catalogue)["topic", "words"]
    said = LocalModel(skill, Acceptance()).ask(Job(task="topic", text="\u4f60"))
    assert (said.outcome, said.answer) == (Outcome.ESCALATED, None)
    assert said.reason is not None
