"""Rules: compiled, what they answer for each kind of task, and how much work that is."""

import itertools
from typing import Any

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst import catalogue
from smallfirst.answers import MAX_EVIDENCE, LabelAnswer, LabelsAnswer, Span, SpansAnswer
from smallfirst.catalogue import Kind, Pattern, Rule
from smallfirst_router.errors import RouterError, RuleError
from smallfirst_router.patterns import MAX_CANDIDATES, MAX_MATCH_BYTES, search_all
from smallfirst_router.recognizers import RECOGNIZERS
from smallfirst_router.rules import MAX_SPANS, RuleMatch, compile_rule, settle_matches

EVERY_RECOGNIZER = Rule(find=tuple(RECOGNIZERS))
TEXTS = st.lists(
    st.sampled_from(
        [
            "4111 1111 1111 1111",
            "bob@example.com",
            "555-123-4567",
            "536-90-4399",
            "2024-11-05",
            "💥",
        ]
    )
    | st.text(max_size=4),
    max_size=12,
).map("".join)


def rule_of(
    *patterns: tuple[str, str], check: str | None = None, find: tuple[str, ...] = ()
) -> Rule:
    """Make a rule of `(label, pattern)` pairs."""
    made = tuple(Pattern(label=label, pattern=text, check=check) for label, text in patterns)
    return Rule(find=find, patterns=made)


def spans_of(rule: Rule, text: str) -> tuple[Span, ...]:
    """The spans that a rule answers with."""
    answer = compile_rule(rule, Kind.TAG).answer(text).answer
    assert isinstance(answer, SpansAnswer)
    return answer.spans


def found(rule: Rule, text: str) -> list[tuple[str, str]]:
    """Say which stretches of a text a rule labels how."""
    spans = spans_of(rule, text)
    return [(span.label, text[span.start : span.end]) for span in spans]


class CountingRegex:
    """A regular expression that counts the bytes it is shown, and else is the one inside."""

    def __init__(self, pattern: str) -> None:
        self.regex = re2.compile(pattern)
        self.num_bytes = 0

    def search(self, data: bytes, start: int, end: int) -> Any:
        """Search, and count."""
        self.num_bytes += end - start
        return self.regex.search(data, start, end)


def test_tag_rule_answers_spans() -> None:
    """A rule on a tag task answers spans in the text's order, surely."""
    answer = compile_rule(EVERY_RECOGNIZER, Kind.TAG).answer("bob@example.com, 555-123-4567").answer
    assert isinstance(answer, SpansAnswer)
    assert [(s.start, s.end, s.label) for s in answer.spans] == [
        (0, 15, "email"),
        (17, 29, "phone"),
    ]
    assert answer.confidence == 1.0


def test_tag_rule_answers_no_spans() -> None:
    """A rule on a tag task that finds nothing answers that there is nothing."""
    answer = compile_rule(EVERY_RECOGNIZER, Kind.TAG).answer("nothing here").answer
    assert answer == SpansAnswer(spans=(), confidence=1.0)


def test_classify_rule_answers_the_first_label() -> None:
    """Of several patterns that match, the first in the catalogue labels the text."""
    rule = rule_of(("refund", "money back"), ("delivery", "parcel"))
    answer = (
        compile_rule(rule, Kind.CLASSIFY).answer("my parcel is late, I want my money back").answer
    )
    expected = LabelAnswer(label="refund", confidence=1.0, distribution={"refund": 1.0})
    assert answer == expected


def test_classify_rule_reads_the_whole_text() -> None:
    """A pattern that only labels may reach from one end of a text to the other."""
    rule = rule_of(("both", r"(?s)\Ahello.*bye\z"))
    text = f"hello{'é' * 3 * MAX_MATCH_BYTES}bye"
    assert compile_rule(rule, Kind.CLASSIFY).answer(text).answer is not None


def test_recognizers_label_before_patterns() -> None:
    """A recognizer's name is a label too, and recognizers stand before patterns."""
    rule = rule_of(("shop", "order"), find=("card", "email"))
    answer = compile_rule(rule, Kind.CLASSIFY).answer("order for bob@example.com").answer
    assert isinstance(answer, LabelAnswer)
    assert answer.label == "email"


def test_multilabel_rule_answers_every_label_once() -> None:
    """A rule on a multilabel task answers every label that matches, once, in order."""
    rule = rule_of(("b", "beta"), ("a", "alpha"), ("b", "bravo"), ("c", "gamma"))
    answer = compile_rule(rule, Kind.MULTILABEL).answer("alpha bravo beta").answer
    expected = LabelsAnswer(labels=("b", "a"), confidence=1.0, distribution={"b": 1.0, "a": 1.0})
    assert answer == expected


@pytest.mark.parametrize("kind", [Kind.CLASSIFY, Kind.MULTILABEL])
def test_no_label_is_no_answer(kind: Kind) -> None:
    """Where nothing matches, a rule that labels has no answer."""
    assert compile_rule(rule_of(("a", "alpha")), kind).answer("beta").answer is None


def test_a_label_is_explained_by_what_was_found() -> None:
    """Each finder of the label names what it found and itself; others' finds are no reason."""
    patterns = (
        Pattern(label="refund", pattern=r"money back"),
        Pattern(label="card", pattern=r"card"),
        Pattern(label="refund", pattern=r"refund"),
    )
    text = "\U0001f600 A refund for my card! I want my money back, a refund."
    rule = compile_rule(Rule(patterns=patterns), Kind.CLASSIFY)

    plain, answer = rule.answer(text).answer, rule.answer(text, is_explained=True).answer

    assert isinstance(plain, LabelAnswer)
    assert isinstance(answer, LabelAnswer)
    assert (plain.evidence, plain.explanation) == ((), None)
    found = [(text[each.start : each.end], each.rule) for each in answer.evidence]
    assert found == [
        ("refund", "patterns.2"),
        ("money back", "patterns.0"),
        ("refund", "patterns.2"),
    ]
    assert answer.explanation is not None
    assert (answer.explanation.method, answer.explanation.label) == ("matches", "refund")
    assert answer.model_copy(update={"evidence": (), "explanation": None}) == plain


def test_reasons_of_a_rule_are_bounded_and_change_no_answer() -> None:
    """A text of nothing but matches names few, and a match too long to place is still a label."""
    rule = compile_rule(rule_of(("a", "x+y"), ("a", "x")), Kind.MULTILABEL)
    for text in ("x" * 100_000 + "y", "xy" * 50_000, "x", "  x"):
        plain, said = rule.answer(text), rule.answer(text, is_explained=True)
        assert isinstance(said.answer, LabelsAnswer)
        assert 0 < len(said.answer.evidence) <= MAX_EVIDENCE
        assert said.bound is plain.bound is None
        assert said.answer.labels == ("a",)


def test_embed_rule_is_refused() -> None:
    """A rule cannot answer with a vector, and says so when it is compiled."""
    with pytest.raises(RuleError, match="embed task"):
        compile_rule(rule_of(("a", "alpha")), Kind.EMBED)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?<=a)b", "look-around"),
        ("a(?=b)", "look-around"),
        ("a(?!b)", "look-around"),
        (r"(a)\1", "back-references"),
        ("a{2000}", "1,000 times"),
        ("(a", "missing )"),
        ("[z-a]", "invalid character class range"),
        ("a*", "empty text"),
    ],
)
def test_bad_pattern_is_refused(
    pattern: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A pattern that RE2 cannot run is refused with its label and RE2's reason, silently."""
    with pytest.raises(RuleError) as caught:
        compile_rule(rule_of(("fine", "x"), ("broken", pattern)), Kind.TAG)
    assert caught.value.label == "broken"
    assert reason in caught.value.reason
    assert str(caught.value).startswith("broken: ")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("check", ["nonesuch", "us", "exceptions", "nonesuch.at_all"])
def test_bad_check_is_refused(check: str) -> None:
    """A check that python-stdnum does not have is refused by name."""
    with pytest.raises(RuleError, match=check) as caught:
        compile_rule(rule_of(("number", "[0-9]+"), check=check), Kind.TAG)
    assert caught.value.label == "number"


def test_recognizers_are_those_of_the_catalogue() -> None:
    """The catalogue offers the recognizers that there are, in the same order."""
    assert tuple(RECOGNIZERS) == catalogue.RECOGNIZERS


def test_unknown_recognizer_is_refused() -> None:
    """A recognizer that slipped past the catalogue is refused by name, among those there are."""
    with pytest.raises(RuleError, match="ssn, card") as caught:
        compile_rule(Rule.model_construct(find=("nonesuch",), patterns=()), Kind.TAG)
    assert caught.value.label == "nonesuch"
    assert isinstance(caught.value, RouterError)


def test_pattern_sees_unicode_as_written() -> None:
    """The team's own patterns read the text as it is, and offsets count characters."""
    assert found(rule_of(("word", r"\p{Greek}+")), "🙂é λόγος 💥") == [("word", "λόγος")]


def test_ignore_case() -> None:
    """A pattern ignores case only where it says so."""
    small = Pattern(label="a", pattern="refund", ignore_case=True)
    assert found(Rule(patterns=(small,)), "REFUND Refund") == [("a", "REFUND"), ("a", "Refund")]
    assert found(rule_of(("a", "refund")), "REFUND") == []


def test_span_group_is_the_span() -> None:
    """A group named span is what is labelled; the rest of the pattern is its surroundings."""
    rule = rule_of(("customer", r"(?i)customer no\.? (?P<span>[0-9]{6})\b"))
    assert found(rule, "é customer no. 123456") == [("customer", "123456")]


def test_check_decides() -> None:
    """A match that fails its check is no match, for spans and for labels."""
    rule = rule_of(("number", "[0-9]{8}"), check="luhn")
    assert found(rule, "12345674 12345678") == [("number", "12345674")]
    classify = compile_rule(rule, Kind.CLASSIFY)
    assert classify.answer("12345678").answer is None
    assert classify.answer("12345674").answer is not None


def test_check_reads_digits_of_any_script() -> None:
    """A check is asked about plain digits, whichever script they are written in."""
    rule = rule_of(("number", r"\p{Nd}{8}"), check="luhn")
    assert found(rule, "١٢٣٤٥٦٧٤") == [("number", "١٢٣٤٥٦٧٤")]


def test_check_that_stumbles_says_no() -> None:
    """A check that raises on what is no number at all rejects the match."""
    assert found(rule_of(("number", r"\S+"), check="be.nn"), "hello 12٣x") == []


def test_checked_beats_longer() -> None:
    """A checked match wins over a longer unchecked one."""
    rule = rule_of(("line", ".+"), find=("card",))
    assert found(rule, "card 4111 1111 1111 1111!") == [("card", "4111 1111 1111 1111")]


def test_longer_beats_earlier() -> None:
    """Of equals in proof, the longer match wins; of equals in length, the earlier."""
    assert found(rule_of(("ab", "ab"), ("bcd", "bcd")), "abcd") == [("bcd", "bcd")]
    assert found(rule_of(("bc", "bc"), ("ab", "ab")), "abc") == [("ab", "ab")]


def test_catalogue_order_settles_equals() -> None:
    """Of two patterns that match the same stretch, the first in the catalogue labels it."""
    assert found(rule_of(("first", "ab"), ("second", "ab")), "ab") == [("first", "ab")]


def test_url_keeps_its_address() -> None:
    """An e-mail address inside a URL is part of the longer find."""
    rule = Rule(find=("email", "url"))
    assert found(rule, "https://x.com/?a=bob@x.com") == [("url", "https://x.com/?a=bob@x.com")]


def test_ssn_is_no_phone() -> None:
    """Where an SSN stands next to a phone number, each gets its own label."""
    rule = Rule(find=("phone", "ssn"))
    text = "SSN 536-90-4399 tel 555-123-4567"
    assert found(rule, text) == [("ssn", "536-90-4399"), ("phone", "555-123-4567")]


@given(
    claims=st.lists(
        st.builds(
            lambda start, size, is_checked, order: RuleMatch(
                start, start + size, "x", is_checked, order
            ),
            st.integers(0, 30),
            st.integers(1, 9),
            st.booleans(),
            st.integers(0, 3),
        )
    )
)
def test_settled_claims_do_not_overlap(claims: list[RuleMatch]) -> None:
    """Settled claims lie apart and in order, and whoever lost overlaps one that won."""
    settled = settle_matches(claims)
    assert all(left.end <= right.start for left, right in itertools.pairwise(settled))
    for claim in claims:
        assert any(claim.start < won.end and won.start < claim.end for won in settled)


@given(text=TEXTS)
@settings(deadline=None)
def test_spans_lie_in_the_text_in_order(text: str) -> None:
    """Of any text, spans lie within it, sorted and apart."""
    rule = rule_of(("word", r"\w+"), ("any", "(?s)."), ("byte", r"\C\C"), find=tuple(RECOGNIZERS))
    spans = spans_of(rule, text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(left.end <= right.start for left, right in itertools.pairwise(spans))


@given(before=st.text(max_size=20), after=st.text(max_size=20))
@settings(deadline=None)
def test_offsets_count_characters(before: str, after: str) -> None:
    """A span cuts out what the pattern matched, whatever characters stand around it."""
    text = f"{before}<<needle>>{after}"
    assert ("x", "<<needle>>") in found(rule_of(("x", "<<needle>>")), text)


@given(text=st.text(st.characters(codec=None, categories=["L", "Cs", "So", "Nd"])))
@settings(deadline=None)
def test_no_text_raises(text: str) -> None:
    """Not even a lone surrogate makes a rule raise or shifts an offset."""
    spans = spans_of(rule_of(("x", "x"), find=tuple(RECOGNIZERS)), f"{text}\nx")
    assert spans[-1].start == len(text) + 1


def test_every_span_is_answered() -> None:
    """An answer has all the spans of a text, however many."""
    rule = Rule(find=("email", "ssn"))
    spans = spans_of(rule, "bob@example.com 536-90-4399\n" * 2_000)
    assert len(spans) == 4_000
    assert spans[-1].end == 28 * 2_000 - 1


@pytest.mark.parametrize(
    ("rule", "text", "reason"),
    [
        (Rule(find=("email", "ip")), "a@b.co,::1 " * (MAX_SPANS // 2 + 1), "spans"),
        (rule_of(("x", "x")), "x " * (MAX_CANDIDATES + 1), "'x' has more than 20000 matches"),
        (rule_of(("x", "x+")), "x" * 3 * MAX_MATCH_BYTES, "'x' has a match of more than 4096"),
    ],
)
def test_a_bound_is_told(rule: Rule, text: str, reason: str) -> None:
    """Where a bound keeps a rule from all the spans, its answer says which, and is not sure."""
    answer, bound = compile_rule(rule, Kind.TAG).answer(text)
    assert bound is not None
    assert reason in bound
    assert answer is not None
    assert answer.confidence == 0.0


def test_a_label_beyond_a_bound_is_told() -> None:
    """A rule that labels says too where a bound kept it from all the matches."""
    rule = compile_rule(rule_of(("number", "[0-9]{8}"), check="luhn"), Kind.CLASSIFY)
    answer, bound = rule.answer("12345678 " * (MAX_CANDIDATES + 1) + "12345674")
    assert answer is None
    assert bound is not None


def test_a_pattern_reads_what_people_see() -> None:
    """A pattern of the team's own finds what is written with marks or with soft hyphens."""
    rule = rule_of(("word", "caf\u00e9|ORD-[0-9]{4}"))
    text = "a cafe\u0301, an ORD-12\u00ad34."
    assert found(rule, text) == [("word", "cafe\u0301"), ("word", "ORD-12\u00ad34")]


@pytest.mark.parametrize("pattern", ["\\x{200b}", "[\\x{200b}-\\x{200f}]", "\\p{Cf}", "\u200b"])
def test_a_pattern_that_names_what_nobody_sees_reads_it(pattern: str) -> None:
    """A pattern for zero-width characters finds them."""
    assert found(rule_of(("hidden", pattern)), "a\u200bb") == [("hidden", "\u200b")]


def test_a_match_reaches_far_enough() -> None:
    """A match of the documented length is found whole anywhere; a longer one is cut."""
    rule = rule_of(("run", "<[^>]*>?"))
    whole = f"<{'a' * (MAX_MATCH_BYTES - 2)}>"
    for num_before in range(0, 3 * MAX_MATCH_BYTES, 1021):
        (span,) = spans_of(rule, f"{'b' * num_before}{whole}{'b' * 3 * MAX_MATCH_BYTES}")
        assert (span.start, span.end) == (num_before, num_before + len(whole))
    (cut,) = spans_of(rule, "<" + "a" * 5 * MAX_MATCH_BYTES)
    assert MAX_MATCH_BYTES <= cut.end <= 2 * MAX_MATCH_BYTES


@pytest.mark.parametrize("pattern", ["a.*b|a", "(?s).*x|.", "a+b", r"\ba", "x", r"$|a"])
def test_searching_is_linear(pattern: str) -> None:
    """All searches together look at a bounded number of bytes for each byte of the text."""
    regex, text = CountingRegex(pattern), b"a" * 20_000
    num_matches = sum(1 for _ in itertools.islice(search_all(regex, text), MAX_CANDIDATES))
    assert num_matches <= len(text) + 1
    assert regex.num_bytes <= (num_matches + len(text) // MAX_MATCH_BYTES + 2) * 2 * MAX_MATCH_BYTES


@given(
    data=st.text("abé💥\n", max_size=200),
    pattern=st.sampled_from(["a.*b|a", r"\bb", "é+", "^a", "b$"]),
)
@settings(deadline=None)
def test_searching_in_pieces_finds_the_same(data: str, pattern: str) -> None:
    """Bounded searches find in a short text what one search after another finds."""
    regex, encoded = re2.compile(pattern), data.encode()
    assert [m.span() for m, _ in search_all(regex, encoded)] == [
        m.span() for m in regex.finditer(encoded)
    ]


def test_revision_follows_the_rule() -> None:
    """Equal rules have equal revisions; another pattern, check or order has another."""
    rules = [
        rule_of(("a", "x")),
        rule_of(("a", "y")),
        rule_of(("b", "x")),
        rule_of(("a", "x"), check="luhn"),
        rule_of(("a", "x"), find=("ssn",)),
        rule_of(("a", "x"), find=("ssn", "card")),
        rule_of(("a", "x"), find=("card", "ssn")),
        Rule(patterns=(Pattern(label="a", pattern="x", ignore_case=True),)),
    ]
    revisions = [compile_rule(rule, Kind.TAG).revision for rule in rules]
    assert len(set(revisions)) == len(rules)
    assert revisions == [compile_rule(rule, Kind.TAG).revision for rule in rules]
    assert all(len(revision) == 12 and int(revision, 16) >= 0 for revision in revisions)
