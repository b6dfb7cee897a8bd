"""The chart is well formed in the eyes of helm, of both majors."""

import pytest
from tests.deploy.charts import CHART, EXAMPLES, HELMS, helm


@pytest.mark.parametrize("version", HELMS)
def test_the_real_helm_is_run(version: str) -> None:
    """Each major is the release that it should be."""
    assert helm("version", "--short", version=version).stdout.startswith(f"v{version}+")


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_lint_finds_nothing(example: str | None, version: str) -> None:
    """`helm lint --strict` passes with the chart's own values and with every example's."""
    chosen = () if example is None else ("--values", str(CHART / "examples" / f"{example}.yaml"))
    done = helm("lint", "--strict", str(CHART), *chosen, version=version)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout
