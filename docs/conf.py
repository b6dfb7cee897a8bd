"""How the documentation's site is built: `make docs`, by Sphinx, MyST and Furo.

Every warning is an error, a link to nowhere included. Nothing on a page is fetched from elsewhere:
Furo brings no fonts, and the site counts nobody.
"""

import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

from docs import reference

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
FORGE = "https://github.com/smallfirst/smallfirst"
#: A link out of this folder, or a picture there; behind `#` its part.
OUTWARD = re.compile(r"(!\[[^\]]*)?\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")

project = "Smallfirst"
author = "The Smallfirst authors"
version = release = version_of("smallfirst")
extensions = ["myst_parser"]
myst_heading_anchors = 4
nitpicky = True
html_theme = "furo"
html_title = f"Smallfirst {version}"
html_show_sphinx = html_show_copyright = False
html_static_path, html_css_files = ["_static"], ["site.css"]
html_copy_source = False
html_theme_options = {
    "source_repository": FORGE,
    "source_branch": "main",
    "source_directory": "docs/",
}
pygments_style, pygments_dark_style = "friendly", "native"


def setup(app: "Sphinx") -> None:
    """Have each page completed before it is read."""
    app.connect("source-read", _complete)


def _complete(app: "Sphinx", page: str, source: list[str]) -> None:
    """Put in what is generated, and point links to other files of the repository at the forge."""
    folder = Path(app.srcdir, page).parent
    source[0] = OUTWARD.sub(lambda link: _on_forge(link, folder), reference.filled(source[0]))


def _on_forge(link: "re.Match[str]", folder: Path) -> str:
    """Rewrite one link, unless it stays in this folder; a picture is copied into the site.

    Raises:
        FileNotFoundError: When the file is not there.
    """
    target = (folder / link[2]).resolve(strict=True)
    if link[1] or target.is_relative_to(ROOT / "docs"):
        return link[0]
    return f"]({FORGE}/blob/main/{target.relative_to(ROOT)}{link[3] or ''})"
