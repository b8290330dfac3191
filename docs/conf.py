"""How Sphinx makes the site of these pages: `make docs`.

The pages are read on GitHub too. What only the site needs, the order of pages and the docstrings of
the public API, is added here when Sphinx reads them.
"""

import os
import re
import sys
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

from pygments.lexers.data import JsonLexer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edms.settings")

import django  # noqa: E402  # the path and the settings come first

django.setup()

import backup_tasks  # noqa: E402

project = "django-backup-tasks"
release = version = os.environ.get("DOCS_VERSION") or backup_tasks.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_copyright = False
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        *(f"sidebar/{part}.html" for part in ("brand", "search", "scroll-start", "navigation")),
        "versions.html",
        "sidebar/scroll-end.html",
    ]
}
html_context = {"versions": os.environ.get("DOCS_VERSIONS", release).split()}

myst_heading_anchors = 4  # what GitHub calls a heading, a link of ours calls it too
nitpicky = True
default_role = "literal"  # `x` in a docstring
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other projects, in signatures
autodoc_preserve_defaults = True

KINDS = {
    "Runbooks": "runbooks",
    "How-to guides": "how-to",
    "Reference": "reference",
    "Explanation": "explanation",
}


def _tree(caption: str, *pages: str) -> str:
    return "\n".join(
        ["```{toctree}", ":hidden:", ":glob:", f":caption: {caption}", "", *pages, "```"]
    )


def _docstring(name: str) -> str:
    value = resolve_name(name)
    kind = "data"
    if isinstance(value, ModuleType):
        kind = "module"
    elif isinstance(value, type):
        kind = "exception" if issubclass(value, Exception) else "class"
    elif callable(value):
        kind = "function"
    options = ["   :no-value:"] if kind == "data" else []
    return "\n".join(["```{eval-rst}", f".. auto{kind}:: {name}", *options, "```"])


def _complete(app: Any, page: str, source: list[str]) -> None:
    """Add to a page what only the site needs."""
    if page == "index":
        trees = [_tree(caption, f"{folder}/*") for caption, folder in KINDS.items()]
        more = _tree("More", "where-to-change", "evidence", "performance", "scale")
        source[0] += "\n\n".join(
            ["", _tree("Start", "tutorial"), *trees, more, _tree("Decisions", "adr/*")]
        )
    if page == "reference/python":
        names = re.findall(r"^\| `([\w.]+)` \|", source[0], re.MULTILINE)
        source[0] += "\n\n".join(["", "## In full", *map(_docstring, names)])


def _table(app: Any, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Keep the lines of a docstring apart that are a table: a name, spaces, what it means."""
    for number, line in enumerate(lines):
        if row := re.fullmatch(r"(\w+) {2,}(\S.*)", line):
            lines[number] = f"| ``{row[1]}``: {row[2]}"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _table)
    app.add_lexer("jsonl", JsonLexer)
    app.connect("source-read", _complete)
