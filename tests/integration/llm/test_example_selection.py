"""Examples chosen by nearness: those that are about what the text is about."""

import pytest

from smallfirst.catalogue import Example
from smallfirst_workers.prompting.example_selection import Embed, ExampleSelector, bundled_encoder

ABOUT = {
    "delivery": ["Where is my parcel?", "The courier never came.", "My package is late."],
    "account": ["I forgot my password.", "I cannot sign in.", "Please delete my login."],
}


@pytest.fixture(scope="module")
def embed(tmp_path_factory: pytest.TempPathFactory) -> Embed:
    """The bundled sentence encoder."""
    found = bundled_encoder(tmp_path_factory.mktemp("cache"))
    assert found is not None
    return found


def examples() -> list[Example]:
    """Make an example of each text."""
    return [Example(text=text, label=label) for label, said in ABOUT.items() for text in said]


@pytest.mark.parametrize(
    ("text", "label"),
    [("My delivery has not arrived yet", "delivery"), ("The login page rejects me", "account")],
)
def test_near_examples_are_about_the_same(embed: Embed, text: str, label: str) -> None:
    """A text is shown examples of what it is about, the nearest last."""
    (chosen,) = ExampleSelector(examples(), embed).to([text], 3)

    assert [example.label for example in chosen] == [label] * 3


def test_a_text_is_not_shown_its_own_answer(embed: Embed) -> None:
    """An example that is the text itself is left out, and another takes its place."""
    text = ABOUT["account"][0]
    (chosen,) = ExampleSelector(examples(), embed).to([text], 2)

    assert len(chosen) == 2
    assert text not in [example.text for example in chosen]


def test_texts_are_chosen_for_each_alone(embed: Embed) -> None:
    """A batch of texts gets what each would get by itself; an unreadable one gets some examples."""
    nearest = ExampleSelector(examples(), embed)
    texts = ["Where is it?", "password", "\u200b"]

    together = nearest.to(texts, 2)

    assert together[:2] == [nearest.to([text], 2)[0] for text in texts[:2]]
    assert len(together[2]) == 2
