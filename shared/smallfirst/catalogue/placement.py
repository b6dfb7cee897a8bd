"""Where each model of a catalogue runs: on the smallest pool of its tier that holds it."""

from smallfirst.catalogue import Catalogue, Model, place
from smallfirst.catalogue.engines import EngineSpec
from smallfirst.catalogue.model_files import model_parameters
from smallfirst.catalogue.sizes import format_count
from smallfirst.errors import CatalogueError, CatalogueProblem, ModelFilesError


def pools_of(catalogue: Catalogue) -> dict[str, str]:
    """Put every model on the smallest pool of its tier that holds it: pool name by model name.

    Models that the router asks itself are on none.

    Raises:
        CatalogueError: When a model fits no pool, or its size is not to be had.
    """
    placed, problems = {}, []
    for name, model in catalogue.models.items():
        if model.engine_spec.is_in_router:
            continue
        try:
            placed[name] = pool_of(model, catalogue)
        except (ModelFilesError, ValueError) as err:
            problems.append(CatalogueProblem(None, None, f"models.{name}", str(err)))
    if problems:
        raise CatalogueError(*problems)
    return placed


def pool_of(model: Model, catalogue: Catalogue) -> str:
    """Name the smallest pool that holds a model.

    Raises:
        ModelFilesError: When its size is not to be had.
        ValueError: When no pool holds it; the message says what there is.
    """
    size = model_parameters(model)
    pool = place(size, model.tier, catalogue.pools, is_remote=model.is_remote)
    if pool is None:
        raise ValueError(_misfit(size, model, catalogue))
    return pool


def _misfit(size: int, model: Model, catalogue: Catalogue) -> str:
    if model.is_remote:
        return "there is no remote llm pool to ask it from"
    pools = [p for p in catalogue.pools.values() if p.tier is model.tier and not p.remote]
    sizes = [p.capacity for p in pools]
    if not sizes:
        return f"there is no {model.tier} pool to run it"
    has, holds = format_count(size), format_count(max(sizes))
    if has == holds:
        has, holds = f"{size:,}", f"{max(sizes):,}"
    return f"has {has} parameters; the largest {model.tier} pool holds {holds}"


def engines_by_pool(catalogue: Catalogue) -> dict[str, list[EngineSpec]]:
    """What serves the models of each pool that has any, pools of the cheapest tier first."""
    placed = pools_of(catalogue)
    engines = {
        pool: [
            catalogue.models[name].engine_spec for name, where in placed.items() if where == pool
        ]
        for pool in sorted(catalogue.pools, key=lambda pool: catalogue.pools[pool].tier.rank)
    }
    return {pool: specs for pool, specs in engines.items() if specs}


def words_price_per_hour(catalogue: Catalogue) -> float:
    """What an hour costs of whoever would answer by a linear model; 0 where nobody says.

    A router's; where its hour has no price, the cheapest pool's that has one.
    """
    priced = (pool.price_per_hour for pool in catalogue.pools.values() if pool.price_per_hour > 0)
    return catalogue.router.price_per_hour or min(priced, default=0.0)
