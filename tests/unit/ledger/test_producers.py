"""The registry of producers, read with suspicion."""

from smallfirst.ledger.producers import MAX_WEIGHT, Producer, read_producers


def test_default_is_there_without_being_in_it() -> None:
    """A fleet whose administrator has registered nobody has one producer of weight 1."""
    assert read_producers({}) == {"default": Producer(weight=1)}


def test_default_may_have_a_weight_of_its_own() -> None:
    """What the registry tells of it counts."""
    assert read_producers({"default": b'{"weight":3}'}) == {"default": Producer(weight=3)}


def test_what_cannot_be_read_keeps_nobodys_jobs_waiting() -> None:
    """A producer whose note is broken, or newer, is served; what is no name is nobody."""
    too_much = f'{{"weight":{MAX_WEIGHT + 1}}}'.encode()
    found = {"a": b"{", "b": too_much, "c": b'{"weight":2,"mood":"merry"}', "d:e": b"{}"}
    weights = {name: each.weight for name, each in read_producers(found).items()}
    assert weights == {"a": 1, "b": 1, "c": 2, "default": 1}
