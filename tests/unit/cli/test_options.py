"""Options that several commands share."""

import pytest
import typer

from smallfirst.cli.options import share_between


def test_a_share_in_per_cent_is_told_how_it_is_written() -> None:
    """2 is no share, and 0.02 was meant; what is no share in per cent either gets no advice."""
    read = share_between(0.0001, 0.5)
    assert read("0.02") == 0.02
    with pytest.raises(typer.BadParameter, match=r"2 is not from 0\.0001 to 0\.5; 2 % is 0\.02$"):
        read("2")
    with pytest.raises(typer.BadParameter, match=r"95 is not from 0\.0001 to 0\.5$"):
        read("95")
    with pytest.raises(typer.BadParameter, match="'two' is no number"):
        read("two")
