"""Reading the catalogue: what is understood, and that every mistake is told with its line."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst.catalogue import Kind
from smallfirst.catalogue.loading import MAX_CATALOGUE_BYTES, load_catalogue
from smallfirst.catalogue.yaml_tree import YamlError, read_yaml
from smallfirst.errors import CatalogueError

GOOD = """\
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
models:
  mini:
    source: bundled:minilm
tasks:
  topic:
    kind: classify
    labels: {billing: Money., other: The rest.}
    cascade:
      - model: mini
        accept: 0.8
"""
#: As they are quoted in the complaint about a kind that is none.
*OTHER_KINDS, LAST_KIND = (f"'{kind}'" for kind in Kind)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalogue of a test stands."""
    return tmp_path / "catalogue.yaml"


def complaints(path: Path, content: str | bytes) -> list[str]:
    """Write a wrong catalogue; return what is said about it, without the folder."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(path)
    return str(caught.value).replace(f"{path.parent}/", "").split("\n")


def with_examples(path: Path, rows: str, kind: str = "classify") -> None:
    """Write a catalogue whose task takes its examples from a file beside it."""
    path.write_text(GOOD.replace("classify", kind) + "    examples: rows/topic.jsonl\n")
    (path.parent / "rows").mkdir(exist_ok=True)
    (path.parent / "rows" / "topic.jsonl").write_text(rows)


def row_complaints(path: Path, rows: str, kind: str = "classify") -> list[str]:
    """Write a file of examples with mistakes; return what is said about them."""
    with_examples(path, rows, kind)
    return complaints(path, path.read_text())


def test_a_good_catalogue(path: Path) -> None:
    """A catalogue without mistakes is read as it is written."""
    path.write_text(GOOD)

    catalogue = load_catalogue(path)

    assert catalogue.pools["cpu"].max_parameters == 50_000_000
    assert catalogue.tasks["topic"].cascade[0].acceptance.threshold == 0.8
    assert list(catalogue.tasks["topic"].labels) == ["billing", "other"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "kind: classify",
            "knd: classify",
            "catalogue.yaml:9: tasks.topic.knd: unknown key 'knd', did you mean 'kind'?",
        ),
        (
            "accept: 0.8",
            "acept: 0.8",
            (
                "catalogue.yaml:13: tasks.topic.cascade[0].acept: unknown key 'acept',"
                " did you mean 'accept'?"
            ),
        ),
        (
            "kind: classify",
            "kind: clasify",
            (
                f"catalogue.yaml:9: tasks.topic.kind: must be {', '.join(OTHER_KINDS)}"
                f" or {LAST_KIND}, did you mean 'classify'?"
            ),
        ),
        (
            "accept: 0.8",
            "accept: 8",
            (
                "catalogue.yaml:13: tasks.topic.cascade[0].accept: a model accepts at a probability"
                " from 0 to 1, or `calibrated`"
            ),
        ),
        (
            "- model: mini",
            "- modle: mini",
            (
                "catalogue.yaml:12: tasks.topic.cascade[0].modle: unknown key 'modle', did you mean"
                " 'model'?"
            ),
        ),
        (
            "- model: mini",
            "- model: mimi",
            (
                "catalogue.yaml:12: tasks.topic.cascade[0].model: 'mimi' is not one of `models`,"
                " did you mean 'mini'?"
            ),
        ),
        ("version: 1\n", "", "catalogue.yaml:1: version: is required"),
        ("version: 1", "version: 2", "catalogue.yaml:1: version: must be 1"),
        (
            "    source: bundled:minilm",
            "    tier: slm",
            "catalogue.yaml:5: models.mini.source: is required",
        ),
        (
            "  cpu:",
            "  CPU:",
            (
                "catalogue.yaml:3: pools.CPU: the name 'CPU' must be lower-case letters, digits,"
                " _ and -, the first a letter, at most 64"
            ),
        ),
        (
            "labels: {billing: Money., other: The rest.}",
            "labels: [billing, other, else]",
            (
                "catalogue.yaml:10: tasks.topic.labels: must be a mapping, each label with a"
                " description: {billing: what billing means, other: what other means, …}"
            ),
        ),
        (
            "labels: {billing: Money., other: The rest.}",
            'labels: {billing: Money., other: The rest., "\\u200b": Nothing.}',
            (
                "catalogue.yaml:10: tasks.topic.labels.\u200b: the label '\\u200b' has no character"
                " that can be seen"
            ),
        ),
        (
            "labels: {billing: Money., other: The rest.}",
            'labels: {billing: Money., other: The rest., é: Composed., "e\\u0301": Not.}',
            (
                "catalogue.yaml:10: tasks.topic.labels.e\u0301: looks like 'é' and is written with"
                " other characters ('e\\u0301'); keep one"
            ),
        ),
        (
            "accept: 0.8",
            "accept: 60",
            (
                "catalogue.yaml:13: tasks.topic.cascade[0].accept: a model accepts at a probability"
                " from 0 to 1, or `calibrated`; 60 per cent is 0.6"
            ),
        ),
        (
            "labels: {billing: Money., other: The rest.}",
            "labels: {billing: Money.}",
            "catalogue.yaml:10: tasks.topic.labels: a classify task needs at least two labels",
        ),
        (
            "tier: slm, max",
            "tier: slm, tier: llm, max",
            "catalogue.yaml:3: pools.cpu.tier: repeats the key of line 3",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(path: Path, old: str, new: str, complaint: str) -> None:
    """One mistake gets one complaint: file, line, dotted key, the rule, the nearest known word."""
    assert complaints(path, GOOD.replace(old, new)) == [complaint]


def test_all_mistakes_are_told_at_once(path: Path) -> None:
    """Whoever mends a catalogue sees every wrong value, in the order of the file."""
    wrong = GOOD.replace("slm", "smm").replace("source", "sauce").replace("0.8", "no")

    lines = [line.split(":")[1] for line in complaints(path, wrong)]

    assert lines == ["3", "6", "13"]


def test_the_error_has_fields(path: Path) -> None:
    """A program reads file, line, key and rule without taking a sentence apart."""
    path.write_text(GOOD.replace("0.8", "2"))

    with pytest.raises(CatalogueError) as caught:
        load_catalogue(path)

    err = caught.value
    assert (err.path, err.line, err.where) == (path, 13, "tasks.topic.cascade[0].accept")
    assert err.rule.startswith("a model accepts at a probability")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "catalogue.yaml:1: is empty"),
        ("# nothing\n", "catalogue.yaml:1: is empty"),
        ("- a\n- b\n", "catalogue.yaml:1: must be a mapping"),
        ("a: b: c\n", "catalogue.yaml:1: is not YAML"),
        ("version: 1\npools: [\n", "is not YAML"),
        ("version: 1\n---\nversion: 1\n", "catalogue.yaml:2: must be one document"),
        ("a: !!python/object/apply:os.system [x]\n", "catalogue.yaml:1: the tag"),
        (b"version: 1\nname: caf\xe9\n", "catalogue.yaml:2: is not UTF-8"),
        ("version: \x07\n", "catalogue.yaml:1: is not YAML"),
        ("version: 1\n1: x\n", "catalogue.yaml:2: the key 1 must be a word; put it in quotes"),
        ("version: 1e999\n", "catalogue.yaml:1: the number is too large"),
        ("a: " + "[" * 100_000, "catalogue.yaml:1: is nested more than"),
        ("a: &a [*a]\n", "catalogue.yaml:1: no complete value is named &a"),
        ("a: *b\n", "catalogue.yaml:1: no complete value is named &b"),
        ("#" * (MAX_CATALOGUE_BYTES + 1), "holds more than 5,000,000 bytes"),
    ],
)
def test_what_is_no_catalogue_at_all(path: Path, content: str | bytes, complaint: str) -> None:
    """A file that cannot be read as YAML is refused with its line, however broken or hostile."""
    (said,) = complaints(path, content)

    assert complaint in said


def test_a_catalogue_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is a problem of the catalogue like any other."""
    with pytest.raises(CatalogueError, match="No such file"):
        load_catalogue(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "bomb",
    [
        "\n".join(
            ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
            + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
        ),
        "\n".join(
            ["a0: &a0 {x: 1}"]
            + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)]
        ),
        f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 100)}]",
    ],
    ids=["lists", "merges", "characters"],
)
def test_bombs_of_aliases_are_refused(path: Path, bomb: str) -> None:
    """Aliases that would write out to more than any catalogue holds are refused in good time."""
    (said,) = complaints(path, bomb)

    assert "too large once its aliases are written out" in said


def test_anchors_and_merges(path: Path) -> None:
    """What several tasks share may be written once; a key of one's own wins over a merged one."""
    second = "  urgency:\n    <<: *topic\n    labels: {high: Now., low: Later.}\n"
    path.write_text(GOOD.replace("  topic:", "  topic: &topic") + second)

    tasks = load_catalogue(path).tasks

    assert list(tasks["urgency"].labels) == ["high", "low"]
    assert tasks["urgency"].cascade == tasks["topic"].cascade


def test_words_stay_words(path: Path) -> None:
    """A label may be yes, no, on or a date without quotes: YAML 1.2 has no such booleans."""
    path.write_text(
        GOOD.replace("{billing: Money., other: The rest.}", "{yes: off, no: 2026-01-01}")
    )

    assert load_catalogue(path).tasks["topic"].labels == {"yes": "off", "no": "2026-01-01"}


@given(
    tree=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**17), 10**17)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text("abcxyz", min_size=1), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
@settings(max_examples=50)
def test_json_is_yaml(tree: object) -> None:
    """JSON in UTF-8 read as YAML says the same, so generated catalogues work too."""
    assert read_yaml(json.dumps(tree, ensure_ascii=False)).data == tree


@given(text=st.text(max_size=60) | st.text("abc:&*[]{}-<\n \"'!|>#,", max_size=60))
@settings(max_examples=200)
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text is either read or refused with a line; no other error escapes."""
    try:
        line = read_yaml(text).line_of(())
    except YamlError as err:
        line = err.line

    assert 1 <= line <= len(text.splitlines()) + 1


def test_every_key_knows_its_line() -> None:
    """A key's line is where it stands; a missing key's is its parent's."""
    tree = read_yaml("a:\n  b: 1\n  c:\n    - x\n    - y\n")

    assert tree.line_of(("a", "b")) == 2
    assert tree.line_of(("a", "c", 1)) == 5
    assert tree.line_of(("a", "missing", "deeper")) == 1


def test_folders_become_absolute(path: Path, tmp_path: Path) -> None:
    """A local model is meant from the catalogue's own folder, wherever the program was started."""
    path.write_text(GOOD.replace("bundled:minilm", "./models/../mini"))

    assert load_catalogue(path).models["mini"].source == str(tmp_path / "mini")


def test_the_file_of_an_authority_is_beside_the_catalogue(tmp_path: Path) -> None:
    """It is meant from the catalogue's own folder, as a model's folder is."""
    path = tmp_path / "catalogue.yaml"
    path.write_text("""
version: 1
pools: {far: {tier: llm, remote: true}}
models:
  far: {tier: llm, source: m, endpoint: "https://llm/v1", ca_file: ./ours.pem}
tasks: {reply: {kind: generate, cascade: [{model: far}]}}
""")
    assert load_catalogue(path).models["far"].ca_file == str(tmp_path / "ours.pem")


def test_folders_do_not_follow_links(tmp_path: Path) -> None:
    """A catalogue behind a symlink keeps the link's folder: Kubernetes swaps what is behind it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "catalogue.yaml").write_text(GOOD.replace("bundled:minilm", "./mini"))
    (tmp_path / "link").symlink_to("real")

    catalogue = load_catalogue(tmp_path / "link" / "catalogue.yaml")

    assert catalogue.models["mini"].source == str(tmp_path / "link" / "mini")


def test_examples_from_a_file(path: Path) -> None:
    """Examples come from JSON Lines: own answer, gold map or both; blank lines and extras pass."""
    with_examples(
        path,
        "\ufeff"
        '{"text": "Where is my refund?", "label": "billing", "id": "m1", "source": "mail"}\n'
        "\n"
        '{"text": "Hello", "gold": {"topic": "other", "urgency": "low"}}\r\n'
        '{"text": "Bye", "label": "other", "gold": {"topic": "billing"}}',
    )

    examples = load_catalogue(path).tasks["topic"].examples

    assert [example.label for example in examples] == ["billing", "other", "other"]
    assert examples[0].id == "m1"


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("multilabel", '{"text": "x", "gold": {"topic": ["billing"]}}'),
        ("multilabel", '{"text": "x", "labels": []}'),
        ("tag", '{"text": "x y", "gold": {"topic": [{"start": 0, "end": 1, "label": "other"}]}}'),
        ("tag", '{"text": "x y", "spans": []}'),
    ],
)
def test_examples_of_every_kind(path: Path, kind: str, row: str) -> None:
    """An answer may be empty, and a gold answer has the form of the task's kind."""
    with_examples(path, row, kind)

    assert len(load_catalogue(path).tasks["topic"].examples) == 1


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("{", "not JSON"),
        ('"text"', "a JSON object is needed"),
        ('{"label": "other"}', "text: is required"),
        ('{"text": "", "label": "other"}', "text: must have at least 1 character"),
        ('{"text": "x", "label": 3}', "label: must be a valid string"),
        ('{"text": "x"}', "needs `label`, since the task's kind is classify"),
        ('{"text": "x", "lable": "other"}', "is 'lable' meant for it?"),
        ('{"text": "x", "label": "othr"}', "names 'othr', which is not one of the task's labels"),
        ('{"text": "x", "gold": {"urgency": "low"}}', "needs `label`"),
        ('{"text": "x", "label": "other", "spans": [{"start": 1, "end": 1, "label": "a"}]}', "end"),
        ('{"text": "\\ud800", "label": "other"}', "not JSON"),
    ],
)
def test_bad_rows_are_told_with_their_line(path: Path, row: str, complaint: str) -> None:
    """A row that cannot serve the task is told of with the file of examples and its line."""
    (said,) = row_complaints(path, '{"text": "fine", "label": "other"}\n' + row + "\n")

    assert said.startswith("rows/topic.jsonl:2: tasks.topic.examples: ")
    assert complaint in said


def test_rows_are_never_quoted(path: Path) -> None:
    """Examples are people's texts: a complaint says where they are wrong, not what they say."""
    said = row_complaints(path, '{"text": "Ada Lovelace", "labels": "Ada Lovelace"}\n')

    assert "Ada" not in "".join(said)


def test_many_bad_rows_are_counted(path: Path) -> None:
    """A file of nothing but mistakes gets twenty complaints and the number of the others."""
    said = row_complaints(path, "{}\n" * 100)

    assert len(said) == 21
    assert said[-1] == "rows/topic.jsonl: tasks.topic.examples: and 80 more rows are wrong"


def test_a_file_without_rows(path: Path) -> None:
    """A file of examples that holds none is a mistake, not a task without examples."""
    assert row_complaints(path, "\n") == ["rows/topic.jsonl: tasks.topic.examples: has no rows"]


def test_a_missing_file_of_examples(path: Path) -> None:
    """A file that is not there is told of at the line of the catalogue that names it."""
    (said,) = complaints(path, GOOD + "    examples: gone.jsonl\n")

    assert said == (
        "catalogue.yaml:14: tasks.topic.examples: cannot read gone.jsonl: No such file or directory"
    )


def test_inline_examples(path: Path) -> None:
    """A few examples may stand in the catalogue itself, and have lines there."""
    inline = GOOD + "    examples:\n      - {text: Refund, label: billing}\n"
    path.write_text(inline)

    assert load_catalogue(path).tasks["topic"].examples[0].label == "billing"
    assert complaints(path, inline + "      - {text: Hm, label: bill}\n") == [
        (
            "catalogue.yaml:16: tasks.topic.examples[1]: names 'bill', which is not one of the"
            " task's labels, did you mean 'billing'?"
        ),
    ]


def test_rules_alone_need_no_pool(path: Path) -> None:
    """Pools are for models; where there is one, a pool is asked for with its form."""
    task = "{kind: tag, labels: {ssn: Number.}, cascade: [{rule: {find: [ssn]}}]}"
    rules = f"version: 1\ntasks:\n  ids: {task}\n"
    path.write_text(rules)
    assert load_catalogue(path).pools == {}
    [complaint] = complaints(path, f"{rules}models: {{minilm: {{source: 'bundled:minilm'}}}}\n")
    assert "pools: is required, since models run in a pool: {cpu-small" in complaint
