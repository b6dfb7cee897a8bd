"""Laws of what is read of a mail where only its own words count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.linear.messages import own_words

OWN = "Hello,\n\nmy lamp arrived broken. Can I send it back?\n\nAda"
NOTICE = """This message is confidential and may be privileged. If you are not the
intended recipient, please notify the sender and delete this e-mail. Any
disclosure or copying is strictly prohibited."""


@pytest.mark.parametrize(
    "tail",
    [
        "\n-- \nAda Lovelace\nTel. 020 7946 0018",
        "\n\nOn Tue, 3 Mar 2026 at 10:14, Shop <us@shop.example> wrote:\n> Where is it?\n>\n> Bob",
        "\n\nOn Monday, a very long name of a very long department\n<us@shop.example> wrote:\n> Hm",
        "\n\nAm 3. März 2026 um 10:14 schrieb Laden <wir@laden.example>:\n> Guten Tag",
        "\n\nOn 3 March 2026, Bob <us@shop.example> wrote:\n\nThank you for your mail.\n\nBob",
        "\n\n-----Original Message-----\nFrom: Bob\n\nPlease pay the bill.",
        "\n\n____________\nFrom: Bob <b@shop.example>\nSent: Monday\n\nThe bill.",
        f"\n\n{NOTICE}",
        f"\n{NOTICE}\n\n{NOTICE}",
    ],
)
def test_what_a_mail_repeats_is_left_out(tail: str) -> None:
    """Signature, quoted mail and legal notice go, and nothing else does."""
    assert own_words(OWN + tail) == OWN


@pytest.mark.parametrize(
    "text",
    [
        "On Monday he wrote: pay at once.",
        "This message is for Bob. Tell him the price is confidential? No: 5 euros.",
        "If you have received this parcel in error, what should I do with it?",
        "a > b and 3 -- 4\n--- not a signature ---",
        "From: here to there, please deliver.",
        "> only a quotation",
        "Yours,\nAda -- the one with the lamp",
    ],
)
def test_what_bears_no_mark_is_read(text: str) -> None:
    """Words that only resemble a mark are read, and a text of nothing else is read whole."""
    assert own_words(text) == text


def test_an_answer_below_its_quotation_is_read() -> None:
    """Who answers below keeps all of the answer."""
    text = "On 3 March, Bob <b@shop.example> wrote:\n> Which lamp?\n\nThe green one."

    assert own_words(text).split() == ["The", "green", "one."]


@given(st.text(alphabet=">- \nOnwrote:1FromSetThis,e-mail", max_size=300))
def test_places_stay(text: str) -> None:
    """What is read has spaces for what was left out, and nothing at its end."""
    read = own_words(text)

    assert len(read) <= len(text)
    assert all(own in (" ", given) for own, given in zip(read, text, strict=False))


def test_a_hostile_text_is_read_in_time() -> None:
    """A text of half-made marks costs a pass or two over it, not the square of its length."""
    for piece in (
        "On 1 a\n",
        "This message ",
        "From: a\n",
        "_" * 12,
        ">",
        "--\n",
        "wrote:\n",
        "On 1 a wrote:\n>\n",
    ):
        assert len(own_words(piece * 20_000)) <= 20_000 * len(piece)
