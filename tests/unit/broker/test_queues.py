"""What Celery's queues, tasks and nodes are called."""

from smallfirst.broker.queues import node_name, queue_of, task_name
from smallfirst.jobs import Tier
from smallfirst.ledger.holders import Holder


def test_a_queue_is_the_list_of_its_pool_s_name() -> None:
    """Nothing is bound, so no binding can be lost."""
    queue = queue_of("cpu")
    assert (queue.name, queue.routing_key, queue.exchange.name) == ("cpu", "cpu", "")


def test_flower_shows_models_and_workers_by_name() -> None:
    """A model's batches by its tier and name; a worker by its pool and where it runs."""
    assert task_name(Tier.SLM, "minilm") == "slm.minilm"
    assert node_name(Holder("cpu", "host-7", 12, "ab12cd")) == "cpu@host-7-12-ab12cd"
