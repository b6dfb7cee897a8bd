"""Which texts are the same to a reader, and which are so much alike that they come of one template.

A text is told apart by its words alone: case, white space and punctuation are nothing that a model
of a task learns from, so a row that differs by them has been seen. Pure.
"""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import nsmallest
from itertools import chain
from math import ceil

#: Scripts that set no spaces give a word for each character: Thai, kana, Han, Hangul.
WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_NUMBER = re.compile(r"\d+")
#: The share of their words, taken together, that two texts of one template have in common. Texts
#: that differ in one word of eight are not alike: that word is often what the label goes by.
LIKENESS = 0.8
#: Of so many words' hashes the smallest stand for a longer text.
_MAX_WORDS = 128

Words = tuple[int, ...]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, without regard to case and composition."""
    return tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


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
    """The words that stand for a text: all, or of a long one a sample that alike ones share.

    Source: bottom-k sketches in Cohen and Kaplan 2007, Summarizing data using bottom-k sketches.
    """
    words = frozenset(_NUMBER.sub("0", word) for word in words_of(text))
    if len(words) > _MAX_WORDS:
        return frozenset(nsmallest(_MAX_WORDS, words, key=_hash))
    return words or frozenset({text.strip()})


def _hash(word: str) -> bytes:
    return hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _ranked(shapes: Sequence[frozenset[str]]) -> list[Words]:
    """Write each shape as the ranks of its words, the rarest first."""
    counts = Counter(word for shape in shapes for word in shape)
    ranks = {word: rank for rank, (word, _) in enumerate(reversed(counts.most_common()))}
    return [tuple(sorted(ranks[word] for word in shape)) for shape in shapes]


def _leaders(shapes: Sequence[Words]) -> list[int]:
    """Say which shape leads each: itself, where it is like no earlier leader.

    Only those are compared that share enough of their rarest words.

    Source: prefix filtering in Bayardo, Ma and Srikant 2007, Scaling up all pairs similarity
    search.
    """
    holders: dict[int, list[int]] = defaultdict(list)
    leaders = []
    for number, words in enumerate(shapes):
        rarest = _rarest(words)
        met = Counter(chain.from_iterable(holders[word] for word in rarest))
        likely = (at for at in sorted(met) if met[at] >= _fewest_met(words, shapes[at]))
        leader = next((at for at in likely if _are_alike(words, shapes[at])), number)
        leaders.append(leader)
        if leader == number:
            for word in rarest:
                holders[word].append(number)
    return leaders


def _rarest(words: Words) -> Words:
    """So many of a shape's rarest words that each shape like it has one of them at least."""
    return words[: len(words) - ceil(LIKENESS * len(words)) + 1]


def _fewest_shared(one: Words, other: Words) -> int:
    """How many words two shapes have in common at least where they are alike."""
    return ceil(LIKENESS / (1 + LIKENESS) * (len(one) + len(other)) - 1e-9)


def _fewest_met(one: Words, other: Words) -> int:
    """How many of the rarest words of both are in common at least where they are alike.

    All but so few of one's words are the other's, and stand there at most so much later.
    """
    shared = _fewest_shared(one, other)
    of_one = len(_rarest(one)) - (len(one) - shared)
    return max(1, min(of_one, len(_rarest(other)) - (len(other) - shared)))


def _are_alike(one: Words, other: Words) -> bool:
    return len({*one} & {*other}) >= _fewest_shared(one, other)
