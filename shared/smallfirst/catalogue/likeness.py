"""Which texts are the same to a reader, and which are so much alike that they come of one template.

A text is told apart by its words alone: case, white space and punctuation are nothing that a model
of a task learns from, so a row that differs by them has been seen. Pure.
"""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil

#: Scripts that set no spaces give a word for each character: Thai, kana, Han, Hangul.
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_NUMBER = re.compile(r"\d+")
#: The share of their words, taken together, that two texts of one template have in common. Texts
#: that differ in one word of eight are not alike: that word is often what the label goes by.
LIKENESS = 0.8

Words = tuple[int, ...]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, without regard to case and composition."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def text_key(text: str) -> str:
    """Hash what tells a text from others: the first 16 hexadecimal digits of a SHA-256.

    A text without a word, of signs alone, is told apart by its signs.
    """
    plain = " ".join(words_of(text)) or text.strip()
    return hashlib.sha256(plain.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def clusters_of(texts: Sequence[str]) -> list[int]:
    """Number texts so that those that are alike have one number; numbers do not count.

    Each cluster has a leader, which every other text of it is like; so nothing gets into a cluster
    by a chain of small steps. Likeness is Jaccard's, of the sets of words.

    Returns:
        For each text the place of its cluster's first text.
    """
    shapes = [_shape(text) for text in texts]
    distinct = sorted(set(shapes), key=lambda shape: (len(shape), sorted(shape)))
    leaders = _leaders(_ranked(distinct))
    leader_of = dict(zip(distinct, leaders, strict=True))
    firsts: dict[int, int] = {}
    return [firsts.setdefault(leader_of[shape], at) for at, shape in enumerate(shapes)]


def _shape(text: str) -> frozenset[str]:
    words = frozenset(_NUMBER.sub("0", word) for word in words_of(text))
    return words or frozenset({text.strip()})


def _ranked(shapes: Sequence[frozenset[str]]) -> list[Words]:
    """Write each shape as the ranks of its words, the rarest first."""
    counts = Counter(word for shape in shapes for word in shape)
    ranks = {word: rank for rank, (word, _) in enumerate(reversed(counts.most_common()))}
    return [tuple(sorted(ranks[word] for word in shape)) for shape in shapes]


def _leaders(shapes: Sequence[Words]) -> list[int]:
    """Say which shape leads each: itself, where it is like no earlier leader.

    Two that are alike share one of their rarest words at least, so only those are compared that do.

    Source: prefix filtering in Bayardo, Ma and Srikant 2007, Scaling up all pairs similarity
    search.
    """
    holders: dict[int, list[int]] = defaultdict(list)
    leaders = []
    for number, words in enumerate(shapes):
        rarest = words[: len(words) - ceil(LIKENESS * len(words)) + 1]
        met = sorted({each for word in rarest for each in holders[word]})
        alike = next((at for at in met if _likeness(words, shapes[at]) >= LIKENESS), number)
        leaders.append(alike)
        if alike == number:
            for word in rarest:
                holders[word].append(number)
    return leaders


def _likeness(one: Words, other: Words) -> float:
    """Jaccard's: what is in both, of what is in either."""
    if len(other) < LIKENESS * len(one):
        return 0.0
    shared = len({*one} & {*other})
    return shared / (len(one) + len(other) - shared)
