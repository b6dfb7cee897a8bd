"""Likeness: the texts that are one to a reader, and those that come of one template."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from smallfirst.catalogue.likeness import clusters_of, text_key


@given(st.text(min_size=1))
def test_a_key_is_sixteen_hex_digits(text: str) -> None:
    """Whatever the text: it says nothing of it."""
    assert len(text_key(text)) == 16
    assert set(text_key(text)) <= set("0123456789abcdef")


@given(st.lists(st.sampled_from(["card", "lost", "größe", "42"]), min_size=1))
def test_case_spaces_and_punctuation_make_no_other_text(words: list[str]) -> None:
    """What no model of a task learns from tells no texts apart; the order of words does."""
    loud = "  ".join(word.upper() if word != "größe" else "GRÖSSE" for word in words)
    assert text_key(f" {loud}?! ") == text_key(" ".join(words))
    assert (text_key(" ".join(words[::-1])) == text_key(" ".join(words))) == (words == words[::-1])


def test_texts_of_signs_alone_are_told_apart() -> None:
    """Without a word, the signs are what there is."""
    assert text_key("🙂") != text_key("🙃")
    assert text_key(" ?? ") == text_key("??") != text_key("!!")


def test_templates_are_found_and_other_texts_are_not() -> None:
    """Numbers and one word of many do not part two texts; one word of few does, in any script."""
    texts = [
        "Dear Anna, your parcel 4711 is on its way and will reach you on Monday at 10:15.",
        "How do I activate my card?",
        "Dear Otto, your parcel 12 is on its way and will reach you on Monday at 9:30.",
        "How do I block my card?",
        "how do I activate my CARD",
        "您的包裹已经发出,预计星期一送达。",
        "您的包裹已经发出,预计星期二送达。",
        "我的卡丢了",
    ]
    assert clusters_of(texts) == [0, 1, 0, 3, 1, 5, 5, 7]


def test_no_chain_of_small_steps_makes_a_cluster() -> None:
    """Each text of a cluster is like its leader: those at the ends of a chain are not together."""
    words = [chr(0x561 + at) for at in range(38)]  # letters, since digits do not count
    texts = [" ".join(words[at : at + 10]) for at in range(29)]
    clusters = clusters_of(texts)
    assert clusters[0] != clusters[3]
    assert len(set(clusters)) > 5


@given(st.lists(st.text("abcdefg ", max_size=24), max_size=16))
def test_every_text_is_like_its_leader_and_no_leader_is_like_an_earlier_one(
    texts: list[str],
) -> None:
    """However pairs are sought, none is missed: compared with all, the same are alike."""
    words = [frozenset(text.split()) or frozenset({text.strip()}) for text in texts]
    leaders = clusters_of(texts)
    by_cluster: dict[int, set[frozenset[str]]] = {}
    for at, leader in enumerate(leaders):
        by_cluster.setdefault(leader, set()).add(words[at])
    for members in by_cluster.values():
        assert any(all(_likeness(one, other) >= 0.8 for other in members) for one in members)
    heads = [
        min(members, key=lambda each: (len(each), sorted(each))) for members in by_cluster.values()
    ]
    assert all(_likeness(one, other) < 0.8 for one, other in combinations(heads, 2))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def test_long_texts_are_told_by_a_sample_of_their_words() -> None:
    """Two pages that differ in some words are alike; two that differ in half of them are not."""
    page = [chr(0x561 + at % 38) + chr(0x430 + at // 38) for at in range(900)]
    other = [chr(0x561 + at % 38) + chr(0x450 + at // 38) for at in range(900)]
    few, half = page[:860] + other[:40], page[:450] + other[:450]
    assert clusters_of([" ".join(each) for each in (page, few, half)]) == [0, 0, 2]


@given(st.lists(st.text("ab ,", max_size=12), max_size=12))
def test_clusters_do_not_depend_on_the_order_of_rows(texts: list[str]) -> None:
    """However the rows stand, the same texts are together."""
    one, other = (_together(each) for each in (texts, texts[::-1]))
    assert one == other


def _together(texts: list[str]) -> set[tuple[str, str]]:
    marked = list(zip(texts, clusters_of(texts), strict=True))
    return {(one, other) for one, at in marked for other, there in marked if at == there}
