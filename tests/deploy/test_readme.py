"""The chart's pages say what the chart is: its table of values and examples are current."""

import re

import pytest
import yaml
from tests.support.charts import CHART, EXAMPLES, ROOT, script


def test_the_table_is_current() -> None:
    """The README holds what `helm/values_table.py` would write now."""
    held = (CHART / "README.md").read_text("utf-8")
    assert held == script("values_table").written(), "run: python helm/values_table.py"


def test_a_value_without_a_comment_is_an_error() -> None:
    """A value that nobody explains does not get by; one that is part of an explained one does."""
    table = script("values_table")
    assert [row.path for row in table.rows("# Both.\na:\n  b: 1\n  c: 2\n")] == ["a"]
    with pytest.raises(table.UndocumentedError, match=r"a\.c"):
        table.rows("a:\n  # Told.\n  b: 1\n  c: 2\n")
    with pytest.raises(table.UndocumentedError, match="d"):
        table.rows("# Told.\na: 1\nd: 2\n")


def test_every_value_is_told() -> None:
    """Each value of values.yaml has a row, its own or that of what it is part of."""
    text = (CHART / "values.yaml").read_text("utf-8")
    told = {row.path for row in script("values_table").rows(text)}
    for path in _paths(yaml.safe_load(text)):
        parts = path.split(".")
        assert told & {".".join(parts[:end]) for end in range(1, len(parts) + 1)}, path


def test_the_readme_names_every_example() -> None:
    """The README shows every example that is there, and no other."""
    named = set(re.findall(r"examples/([\w-]+)\.yaml", (CHART / "README.md").read_text("utf-8")))
    assert named == set(EXAMPLES) - {None}


@pytest.mark.parametrize("name", ["deploy", "gitops", "models-in-a-cluster", "production"])
def test_a_page_names_values_that_exist(name: str) -> None:
    """Whatever a page of deploying calls a value of the chart is one."""
    page = (ROOT / "docs" / "how-to" / f"{name}.md").read_text("utf-8")
    values = set(_paths(yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))))
    heads = {path.split(".")[0] for path in values}
    words = re.findall(r"`([a-z]\w+(?:\.[\w-]+)+)`", page)
    named = {one for one in words if one.split(".")[0] in heads and not one.endswith(".yaml")}
    assert named, "the page names no value"
    assert not {one for one in named if not any(path.startswith(one) for path in values)}


def _paths(values: object, path: str = "") -> list[str]:
    if not isinstance(values, dict) or not values:
        return [path]
    return [
        one for key, each in values.items() for one in _paths(each, f"{path}.{key}".lstrip("."))
    ]
