"""The scripts that a holder of entries runs, each with the text that it shares with others."""

from importlib import resources

#: What is put before a script's own text.
_SHARED: dict[str, tuple[str, ...]] = {
    "read": ("rows",),
    "recover": ("rows", "holders"),
    "settle": ("holders",),
    "take_due": ("holders",),
    "claim": (),
    "keep": (),
    "give_back": (),
    "hand_over": (),
    "mend_ids": (),
    "beat": (),
    "reap_workers": (),
    "tidy": (),
    "drop_empty": (),
    "fleet_state": (),
    "take_waiting": (),
    "count_destroyed": (),
}


def script_texts() -> dict[str, str]:
    """Every script by its name, as Redis runs it."""
    return {name: script_text(name) for name in _SHARED}


def script_text(name: str) -> str:
    """One of them."""
    folder = resources.files("smallfirst.ledger") / "lua"
    return "".join((folder / f"{part}.lua").read_text() for part in (*_SHARED[name], name))
