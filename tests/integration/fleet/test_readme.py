"""The README, followed as it stands: from an empty folder, in its own order, every block."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter
from tests.support.pages import ROOT, Block, blocks_of, plain_blocks_of
from tests.support.readers import reader
from tests.support.waiting import WaitUntil

from smallfirst.catalogue.steps import AnyStep

pytestmark = pytest.mark.timeout(600)

README = ROOT / "README.md"


def is_fragment(block: Block) -> bool:
    """Whether it is a part of a catalogue, which says no file's name."""
    return block.language == "yaml" and not block.text.startswith("# ")


def test_the_readme_can_be_followed(tmp_path: Path, wait_until: WaitUntil) -> None:
    """Each file, command and program works in its order; the client finds the fleet by itself."""
    blocks = [block for block in blocks_of(README) if not is_fragment(block)]
    assert {block.language for block in blocks} == {"yaml", "sh", "python"}
    with reader(tmp_path, wait_until) as someone:
        for block in blocks:
            someone.follow(block)
    assert (tmp_path / "answers.jsonl").read_text().count('"status":"answered"') == 2


def test_the_fragments_are_parts_of_catalogues() -> None:
    """A cascade that is shown alone has steps that are valid."""
    [fragment] = filter(is_fragment, blocks_of(README))
    steps: TypeAdapter[AnyStep] = TypeAdapter(AnyStep)
    for step in yaml.safe_load(fragment.text)["cascade"]:
        steps.validate_python(step, strict=False)


def test_what_is_only_shown_exists() -> None:
    """The verbs of make are the Makefile's, and the tree is this one's."""
    verbs, tree = plain_blocks_of(README)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for verb in re.findall(r"^make (\w+)", verbs, re.MULTILINE):
        assert re.search(rf"^{verb}:", makefile, re.MULTILINE), verb
    for folder in re.findall(r"^([\w/]+/)", tree, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder
