"""What a model wrote: an answer of the contract, or a problem that quotes nothing of it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.written_answers import (
    ANSWERS,
    ASKED,
    CANARY,
    JSON,
    RECORD,
    TEXT,
    record_with,
    task,
    wrote,
)

from smallfirst.answers import Answer, RecordAnswer, TextAnswer
from smallfirst.catalogue import Kind
from smallfirst.jobs import Problem
from smallfirst_workers.prompting.parsing import read_writings

#: Text, JSON of any form, JSON almost as asked for, and what cannot be sent.
WRITTEN = (
    st.text(st.characters())
    | st.text(st.sampled_from('{}[]",:\\ \n0eE+-.ntrufalsNI'))
    | JSON.map(json.dumps)
    | st.fixed_dictionaries(dict.fromkeys(RECORD, JSON)).map(json.dumps)
    | st.fixed_dictionaries({"verdict": st.just("no") | JSON, "quote": JSON}).map(json.dumps)
    | st.lists(
        st.fixed_dictionaries(
            {"text": st.sampled_from(["ACME", "due"]) | JSON, "label": st.just("name") | JSON}
        )
    ).map(json.dumps)
    | st.text(st.characters(categories=["Cs", "Ll"]))
)


@settings(deadline=None)
@given(st.sampled_from(sorted(ASKED)), st.lists(WRITTEN, min_size=1, max_size=3), st.booleans())
def test_any_writing_is_an_answer_or_a_problem(
    kind: Kind,
    texts: list[str],
    is_whole: bool,  # noqa: FBT001 - given by place
) -> None:
    """Nothing that a model writes raises, and every answer goes over the wire and comes back."""
    writings = [wrote(text, is_whole=is_whole) for text in texts]

    answer = read_writings(task(kind), TEXT, writings)

    if not isinstance(answer, Problem):
        assert ANSWERS.validate_json(answer.to_json()) == answer
        assert 0 <= answer.confidence <= 1


SPOILT = [
    CANARY,
    f'{{"{CANARY}": 1}}',
    f'{{"{CANARY}": 1, "{CANARY}": 2}}',
    f'["{CANARY}"]',
    f'[{{"text": "{CANARY}", "label": "name"}}]',
    f'[{{"text": "ACME", "label": "{CANARY}"}}]',
    f'{{"verdict": "{CANARY}", "quote": ""}}',
    f'{{"{CANARY}": NaN}}',
    f'{{"{CANARY}": "\\ud800"}}',
    *[record_with(**{name: [CANARY]}) for name in RECORD],
    record_with(**{CANARY: 1}),
]


@pytest.mark.parametrize("kind", [Kind.EXTRACT, Kind.JUDGE, Kind.MULTILABEL, Kind.TAG])
@pytest.mark.parametrize("text", SPOILT)
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_problem_quotes_nothing(kind: Kind, text: str, *, is_whole: bool) -> None:
    """A problem goes into the trail and the logs, where no text may be."""
    problem = read_writings(task(kind), TEXT, [wrote(text, is_whole=is_whole)])

    assert isinstance(problem, Problem)
    assert problem.code == "invalid_answer"
    assert CANARY not in problem.message
    assert TEXT not in problem.message


def voted(kind: Kind, *texts: str) -> tuple[Answer | Problem, float]:
    """Let several writings vote; return the answer and how sure it is."""
    answer = read_writings(task(kind), TEXT, [wrote(text) for text in texts])
    return answer, 0.0 if isinstance(answer, Problem) else answer.confidence


def test_a_lone_writing_is_no_vote() -> None:
    """One answer is as sure as its own tokens."""
    assert voted(Kind.GENERATE, "a")[1] == 0.5


def test_votes_count_what_is_said_and_not_how_it_is_written() -> None:
    """The same record in another order and form is the same vote."""
    turned = json.dumps(dict(reversed(RECORD.items())), indent=1)

    assert voted(Kind.EXTRACT, json.dumps(RECORD), turned)[1] == 1.0


def test_many_verdicts_without_a_quote_are_not_sure() -> None:
    """What rests on nothing, and what is unsure, does not get sure by being said often."""
    made_up, unsure = '{"verdict":"yes","quote":"lies"}', '{"verdict":"unsure","quote":""}'

    assert voted(Kind.JUDGE, made_up, made_up, made_up)[1] == 0.0
    assert voted(Kind.JUDGE, unsure, unsure)[1] == 0.0


def test_no_answer_at_all_is_a_problem() -> None:
    """Where every writing fails, the first one's reason is told."""
    problem, _ = voted(Kind.EXTRACT, "[]", "{}")

    assert problem == Problem(code="invalid_answer", message="the model's answer is no JSON object")


def test_a_thought_is_never_an_answer() -> None:
    """Where a model thought unasked, what it wrote behind that counts; a thought alone is none."""
    thought = "<think>\nhm\n</think>\n\n"
    generate, record = task(Kind.GENERATE), task(Kind.EXTRACT)

    said = read_writings(generate, TEXT, [wrote(f"{thought}Hello there.")])
    read = read_writings(record, TEXT, [wrote(f"{thought}```json\n{json.dumps(RECORD)}\n```")])
    cut = read_writings(generate, TEXT, [wrote("<think>\nhm", is_whole=False)])

    assert said == TextAnswer(text="Hello there.", confidence=0.5)
    assert read == RecordAnswer(record=RECORD, confidence=0.5)
    assert isinstance(cut, Problem)
