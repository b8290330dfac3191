"""What the documentation names exists: links, headings, files, commands, options, make targets."""

from __future__ import annotations

import re
import shlex
from argparse import ArgumentError
from pathlib import Path

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError

from tests.habits.pages import DOCS, ROOT, Page, page, pages

CODE = [
    *(ROOT / name for name in ("Makefile", "Procfile", "celeryconfig.py", "docker-compose.yml")),
    *(path for folder in ("backup_tasks", "edms") for path in (ROOT / folder).rglob("*.py")),
]
PLACEHOLDERS = {"COMMAND"}


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{of}: {link}" for of in pages() for link in of.links if not _leads_somewhere(of, link)
    ]

    assert broken == []


def _leads_somewhere(of: Page, link: str) -> bool:
    if link.startswith(("https://", "http://")):
        return True
    name, _, anchor = link.partition("#")
    target = (of.path.parent / name).resolve() if name else of.path
    if not target.is_file():
        return False
    return not anchor or anchor in page(str(target.relative_to(ROOT))).anchors


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md" or not path.is_file():
            continue
        seen.add(path)
        links = page(str(path.relative_to(ROOT))).links
        waiting += [(path.parent / link.partition("#")[0]).resolve() for link in links]

    assert sorted(set(DOCS.rglob("*.md")) - seen) == []


def test_every_page_that_the_code_names_exists() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in CODE
        for name in re.findall(r"\bdocs/[\w/.-]+\.md\b", path.read_text(encoding="utf-8"))
        if not (ROOT / name).is_file()
    ]

    assert missing == []


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        target
        for each in pages()
        for code in [*each.codes, *each.code_lines]
        for target in re.findall(r"(?:^|&& )make ([a-z][a-z-]*)", code)
    }

    assert {"demo", "test"} <= named
    assert named - targets == set()


def test_every_command_line_can_be_parsed() -> None:
    lines = {(str(of), line) for of in pages() for line in _command_lines(of)}
    wrong = {(of, line): problem for of, line in lines if (problem := _problem_with(line))}

    assert len(lines) > 50
    assert wrong == {}


def _problem_with(line: str) -> str:
    name, *arguments = shlex.split(line, comments=True)
    app = get_commands().get(name)
    if app is None:
        return "" if name in PLACEHOLDERS else "there is no such command"
    command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
    try:
        command.create_parser("manage.py", name).parse_args(arguments)
    except (CommandError, ArgumentError) as error:
        return str(error)
    return ""


def _command_lines(of: Page) -> list[str]:
    """What stands behind `manage.py` in code, up to a pipe or a redirection."""
    lines = [re.sub(r"\s[2>|&…].*", "", line) for line in [*of.codes, *of.code_lines]]
    found = [re.search(r"manage\.py ([a-zA-Z_]+\b.*)", line) for line in lines]
    return [match[1] for match in found if match]
