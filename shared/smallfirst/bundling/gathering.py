"""What goes into a bundle: a catalogue and all that it names, wheels, a chart, a list of images."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from smallfirst.bundling.installer import INSTALLER, installer
from smallfirst.bundling.relocating import CATALOGUE, HUB, Relocation, with_paths
from smallfirst.bundling.unpacking import DESCRIPTION
from smallfirst.bundling.wheels import Wheel, lacking, requirements_of, wheels_in
from smallfirst.bundling.writing import Content
from smallfirst.catalogue import Catalogue, Model, promise_path
from smallfirst.catalogue.checking import Finding, check_catalogue
from smallfirst.catalogue.model_files import BUNDLED, model_files, model_folder
from smallfirst.catalogue.named_paths import model_paths, row_paths
from smallfirst.catalogue.runtimes import RUNTIMES
from smallfirst.catalogue.yaml_tree import Place, read_yaml
from smallfirst.errors import BundleError, CatalogueError, CatalogueProblem

_REQUIREMENTS: Final = "requirements.txt"
_IMAGES: Final = "images.txt"
#: What a router imports of others, in every fleet.
_OF_ROUTERS: Final = ("celery", "kombu", "prometheus_client", "re2", "stdnum")


@dataclass(frozen=True)
class Order:
    """What is to be carried.

    Attributes:
        catalogue: Its file; all that it names comes with it.
        wheels: The folder of the packages; None where images bring them.
        chart: The packed chart, if it is carried.
        images: The list of images to mirror, if it is carried.
    """

    catalogue: Path
    wheels: Path | None = None
    chart: Path | None = None
    images: Path | None = None


@dataclass(frozen=True)
class Gathered:
    """All that goes into a bundle, and what somebody may miss there: a sentence each."""

    contents: tuple[Content, ...]
    lacks: tuple[str, ...]


def gather(order: Order) -> Gathered:
    """Find all that is to be carried.

    Raises:
        BundleError: When something is missing, or would be of no use without a network.
        CatalogueError: When a router or a worker would refuse the catalogue.
        ModelFilesError: When a model's files are not on this machine.
    """
    catalogue = _checked(order.catalogue)
    wheels = wheels_in(order.wheels) if order.wheels else ()
    contents = [
        *_of_catalogue(catalogue, order.catalogue.absolute()),
        *_of_hub(catalogue),
        *_of_wheels(wheels),
        *_of_cluster(order),
        Content(INSTALLER, installer()),
    ]
    paths = {each.path for each in contents}
    contents.append(Content(DESCRIPTION, _description(order, paths)))
    lacks = tuple(lacking(wheels, _imported_by(catalogue))) if wheels else ()
    return Gathered(tuple(contents), lacks)


def _checked(path: Path) -> Catalogue:
    found = check_catalogue(path)
    if found.catalogue is None or found.fatal:
        raise CatalogueError(*map(_with_remedy, found.fatal))
    return found.catalogue


def _with_remedy(finding: Finding) -> CatalogueProblem:
    problem = finding.problem
    return replace(problem, rule=f"{problem.rule}; {finding.remedy}") if finding.remedy else problem


def _of_catalogue(catalogue: Catalogue, path: Path) -> Iterator[Content]:
    """The catalogue, what it names, and its promises."""
    text = path.read_bytes().decode("utf-8-sig")
    data = read_yaml(text).data
    relocation = Relocation(path.parent)
    for place, written in {**model_paths(data), **row_paths(data)}.items():
        if _is_somewhere_else(catalogue, place):
            continue
        now = relocation.add(place, written)
        to = relocation.places[now]
        is_folder = place[0] == "models" and place[-1] != "ca_file"
        yield from _files_of(now, to) if is_folder else [Content(to, now)]
    edited = with_paths(text, relocation.written) if relocation.written else None
    yield Content(f"{CATALOGUE}/{path.name}", path if edited is None else edited.encode())
    for task in catalogue.tasks:
        if (promise := promise_path(path, task)).is_file():
            inner = promise.relative_to(path.parent).as_posix()
            yield Content(f"{CATALOGUE}/{inner}", promise)


def _is_somewhere_else(catalogue: Catalogue, place: Place) -> bool:
    """Whether a model's source is only what it is called behind its endpoint."""
    is_source = place[0] == "models" and place[-1] == "source" and len(place) == 3
    return is_source and catalogue.models[str(place[1])].is_remote


def _files_of(folder: Path, to: str) -> Iterator[Content]:
    for file in model_files(folder):
        yield Content(f"{to}/{file.relative_to(folder).as_posix()}", file)


def _of_hub(catalogue: Catalogue) -> Iterator[Content]:
    """The models of the hub at their commits, as the hub's own cache has them."""
    for model in catalogue.models.values():
        if model.is_hub:
            snapshot = model_folder(model)
            repository = snapshot.parent.parent.name
            yield from _files_of(snapshot, f"{HUB}/{repository}/snapshots/{snapshot.name}")


def _of_wheels(wheels: tuple[Wheel, ...]) -> Iterator[Content]:
    if wheels:
        yield Content(_REQUIREMENTS, requirements_of(wheels).encode())
    for wheel in wheels:
        yield Content(f"wheels/{wheel.file.name}", wheel.file)


def _of_cluster(order: Order) -> Iterator[Content]:
    if order.chart is not None:
        if not order.chart.is_file() or not tarfile.is_tarfile(order.chart):
            remedy = "name what `helm package` or `helm pull` wrote, a .tgz"
            raise BundleError(str(order.chart), "is no packed chart", remedy)
        yield Content(f"chart/{order.chart.name}", order.chart)
    if order.images is not None:
        yield Content(_IMAGES, order.images)


def _description(order: Order, paths: set[str]) -> bytes:
    told: dict[str, str] = {
        "smallfirst": version("smallfirst"),
        "catalogue": f"{CATALOGUE}/{order.catalogue.name}",
    }
    if order.chart is not None:
        told["chart"] = f"chart/{order.chart.name}"
    told |= {
        part: path
        for part, path in {"requirements": _REQUIREMENTS, "images": _IMAGES}.items()
        if path in paths
    }
    if any(path.startswith(f"{HUB}/") for path in paths):
        told["hub"] = HUB
    return (json.dumps(told, indent=2, sort_keys=True) + "\n").encode()


def _imported_by(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """The modules that a fleet of this catalogue imports, by who does."""
    wanted: dict[str, tuple[str, ...]] = {"a router": _OF_ROUTERS}
    for name, model in catalogue.models.items():
        bundled = BUNDLED.get(model.source.removeprefix("bundled:")) if model.is_bundled else None
        weights = (bundled.package,) if bundled else ()
        engine = model.engine_spec
        runtimes = _runtimes_of(model) if "runtime" in engine.keys else ()
        wanted[f"models.{name}"] = (*engine.implementation.packages, *runtimes, *weights)
    return wanted


def _runtimes_of(model: Model) -> Iterator[str]:
    """What executes a small model, and what does where that cannot."""
    spec = RUNTIMES[model.runtime]
    for each in (spec, RUNTIMES[spec.fallback]) if spec.fallback else (spec,):
        yield from each.implementation.packages
