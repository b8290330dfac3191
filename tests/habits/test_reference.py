"""The reference says what the code is: no setting, command, error or task more or less."""

from __future__ import annotations

import ast
import re
from argparse import _HelpAction, _SubParsersAction
from dataclasses import MISSING, Field, asdict, fields
from datetime import timedelta
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

import pytest
from celery import current_app
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandParser

import celeryconfig
from backup_tasks import errors, tasks
from backup_tasks.conf import BackupSettings, Retention
from backup_tasks.runs.chains import CHAINS
from backup_tasks.schedules import Schedule
from backup_tasks.status.conditions import CONDITIONS
from tests.habits.pages import ROOT, coded, page, rows

COMPUTED = {"project", "workspace"}
"""Settings whose default depends on the project; the docs tell it in words."""


def test_the_settings_table_has_every_setting_with_its_default_and_no_other() -> None:
    section = page("docs/reference/settings.md").section("The dictionary `BACKUP`")
    told = {coded(key)[0]: default for key, default, _ in rows(section)}

    assert sorted(told) == sorted(field.name.upper() for field in fields(BackupSettings))
    assert {
        field.name.upper(): told[field.name.upper()].strip("`")
        for field in fields(BackupSettings)
        if field.name not in COMPUTED
    } == {
        field.name.upper(): _as_written(_default(field))
        for field in fields(BackupSettings)
        if field.name not in COMPUTED
    }


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _as_written(value: Any) -> str:
    if isinstance(value, Retention):
        return str(asdict(value)).replace("'", '"')
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        unit, length = next(
            (unit, length)
            for unit, length in (("days", 86400), ("hours", 3600), ("seconds", 1))
            if seconds % length == 0
        )
        return f"timedelta({unit}={seconds // length})"
    if isinstance(value, dict) and all(isinstance(one, Schedule) for one in value.values()):
        value = {name: _what_was_set(one) for name, one in value.items()}
    return repr(value).replace("'", '"')


def _what_was_set(schedule: Schedule) -> dict[str, Any]:
    given = {
        field.name: getattr(schedule, field.name)
        for field in fields(schedule)
        if getattr(schedule, field.name) != field.default
    }
    del given["name"]  # its key
    return given


def test_every_variable_that_the_edms_reads_is_documented_and_no_other() -> None:
    section = page("docs/reference/settings.md").section("Environment variables of the EDMS")
    told = [name for variable, _, _ in rows(section) for name in coded(variable)]

    assert sorted(told) == sorted(_variables_read())


def _variables_read() -> set[str]:
    found: set[str] = set()
    for path in [ROOT / "celeryconfig.py", *(ROOT / "edms").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="environment"), attr=reader),
                    args=[ast.Constant(value=str(name)), *_],
                ):
                    found |= {name, f"{name}_FILE"} if reader in ("secret", "pairs") else {name}
    return found


OWN_COMMANDS = sorted(name for name, app in get_commands().items() if app == "backup_tasks")
COMMANDS = page("docs/reference/commands.md")


@pytest.mark.parametrize("name", OWN_COMMANDS)
def test_every_command_is_documented_with_all_of_its_options_and_no_other(name: str) -> None:
    told = set(re.findall(r"`(--[a-z-]+)`", COMMANDS.section(name)))

    assert told == _options(load_command_class("backup_tasks", name))


def test_no_command_is_documented_that_does_not_exist() -> None:
    sections = re.findall(r"^## (\w+_\w+|runs)$", COMMANDS.text, re.MULTILINE)

    assert sorted(sections) == OWN_COMMANDS


def _options(command: BaseCommand) -> set[str]:
    def of(parser: CommandParser) -> set[str]:
        return {
            option
            for action in parser._actions
            if not isinstance(action, _HelpAction | _SubParsersAction)
            for option in action.option_strings
            if option.startswith("--")
        }

    return of(command.create_parser("manage.py", "x")) - of(
        BaseCommand().create_parser("manage.py", "x")
    )


ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.BackupError)
}


def test_every_error_is_documented_with_its_kind_exit_code_and_meaning() -> None:
    told = {
        coded(name)[0]: (kind, int(code), meaning)
        for name, kind, code, meaning in rows(page("docs/reference/errors.md").text)
    }

    assert told == {
        name: (
            "transient" if issubclass(kind, errors.Transient) else "permanent",
            kind.exit_code,
            " ".join((kind.__doc__ or "").split()),
        )
        for name, kind in ERRORS.items()
        if kind not in (errors.BackupError, errors.Transient, errors.Permanent)
    }


def test_every_exit_code_is_documented_with_the_errors_that_it_belongs_to() -> None:
    told = {int(code): set(coded(names)) for code, _, names in rows(COMMANDS.section("Exit codes"))}
    by_code: dict[int, set[str]] = {0: set(), 1: set()}
    for name, kind in ERRORS.items():
        if kind.exit_code != 1:
            by_code.setdefault(kind.exit_code, set()).add(name)

    assert told == by_code


def test_the_tree_on_top_of_the_errors_has_every_error() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")

    assert sorted(["BackupError", *drawn]) == sorted(ERRORS)


def test_every_task_is_documented_with_its_queue_and_no_other() -> None:
    told = {
        coded(name)[0]: coded(queue)[0]
        for name, queue, _ in rows(page("docs/reference/tasks.md").text)
    }

    assert import_module("backup_tasks.tasks") is tasks
    assert told == {
        name: _queue_of(name) for name in current_app.tasks if name.startswith("backup_tasks.")
    }


def _queue_of(task: str) -> str:
    routes: dict[str, dict[str, str]] = celeryconfig.task_routes
    return routes.get(task, routes["backup_tasks.*"])["queue"]


def test_every_chain_is_documented_in_its_order_and_no_other() -> None:
    section = page("docs/reference/ledger.md").section("Chains")
    told = dict(re.findall(r"^    (\w+) +(\w+(?: [→|] \w+)*)$", section, re.MULTILINE))

    assert {kind: tuple(re.split(r" [→|] ", chain)) for kind, chain in told.items()} == {
        str(kind): chain for kind, chain in CHAINS.items()
    }


def test_every_step_is_documented() -> None:
    section = page("docs/reference/ledger.md").section("Chains")
    told = {coded(step)[0] for step, _, _ in rows(section)}

    assert told == {step for chain in CHAINS.values() for step in chain}


def test_every_system_check_is_documented_and_no_other() -> None:
    told = [coded(cells[0])[0] for cells in rows(page("docs/reference/checks.md").text)]
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "backup_tasks/checks").glob("*.py")
    )
    ids = set(re.findall(r'"(backup_tasks\.[EWI]\d{3})"', source))

    assert ids
    assert sorted(told) == sorted(ids)


def test_every_condition_of_the_light_is_documented_with_its_colour_and_no_other() -> None:
    section = page("docs/how-to/know-whether-my-data-is-safe.md").section("The reasons")
    told = {coded(name)[0]: light for name, light, _ in rows(section)}

    assert told == {each.name: each.light.word.lower() for each in CONDITIONS}


def test_every_public_name_exists() -> None:
    told = [coded(cells[0])[0] for cells in rows(page("docs/reference/python.md").text)]

    assert told
    for name in told:
        assert resolve_name(name) is not None, name
