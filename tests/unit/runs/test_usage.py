"""Options and settings that make no sense: exit code 2, said before there is a run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError
from django.db import connections
from pytest_django import DjangoDbBlocker, Settings

from backup_tasks.errors import Misconfigured
from backup_tasks.models import Run
from backup_tasks.runs import chains
from tests.services import Project, as_default_database
from tests.unit.runs.test_commands import run_command

OWN = sorted(name for name, app in get_commands().items() if app == "backup_tasks")
WITHOUT_A_DATABASE = {
    "backup_status",
    "list_packages",
    "verify_certificate",
    "verify_package",
    "show_package",
}
LIVE = {
    "adopt_installation": ("0" * 16,),
    "adopt_storage": ("default",),
    "backup_report": ("--month", "2026-11"),
    "backup_cycle": (),
    "cancel_run": ("RUN",),
    "create_backup": (),
    "drill_restore": (),
    "pin_package": ("p.tar.zst",),
    "prune_packages": (),
    "restore_from_package": ("p.tar.zst", "--confirm"),
    "resume_run": ("RUN",),
    "runs": (),
    "system_reinit": ("--confirm",),
    "undo_restore": ("--confirm",),
    "unpin_package": ("p.tar.zst",),
}
DRY: list[tuple[str, ...]] = [
    ("system_reinit", "--dry-run"),
    ("prune_packages", "--dry-run"),
]
PLAIN = {"name": "x", "run": "x", "package": "x", "installation": "x", "file": "x"}


@pytest.fixture
def nowhere(
    tmp_path: Path, settings: Settings, django_db_blocker: DjangoDbBlocker
) -> Iterator[Path]:
    """This process works on an EDMS whose path of the database was mistyped."""
    project = Project(engine="sqlite", folder=tmp_path)
    with django_db_blocker.unblock(), as_default_database(project):
        yield project.database


@pytest.mark.parametrize("limit", ["-1", "0", "x", "", "1.5", "²", "9" * 30, "9" * 5000])
def test_a_limit_that_is_no_number_of_runs_is_refused(on_project: Project, limit: str) -> None:
    done = on_project.manage("runs", "--limit", limit)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--limit" in done.stderr
    assert "from 1 to 1,000,000" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit", ["1", "1000000"])
def test_a_limit_lists_so_many_runs(on_project: Project, limit: str) -> None:
    for _ in range(2):
        chains.start("backup", trigger="command")

    code, out, _ = run_command("runs", "--limit", limit, "--json")

    assert code == 0
    assert len(json.loads(out)["runs"]) == min(2, int(limit))


@pytest.mark.parametrize("command", OWN)
def test_no_option_takes_a_value_that_it_does_not_have(command: str) -> None:
    """Numbers and choices, whichever there are; and nothing stands for an empty value."""
    parser = load_command_class("backup_tasks", command).create_parser("manage.py", command)
    own = [action for action in parser._actions if action.dest not in _django_s()]
    plain = [PLAIN[a.dest] for a in own if not a.option_strings and a.nargs is None]
    for action in own:
        choosy = action.choices is not None or action.type is not None
        for value in ["", "-1", "no such thing"] if choosy else []:
            if value and not (action.choices or action.dest == "limit"):
                continue  # free text
            words = [f"{action.option_strings[-1]}={value}"] if action.option_strings else [value]
            with pytest.raises(CommandError, match="argument"):
                parser.parse_args([*words, *(plain if action.option_strings else plain[1:])])


@contextmanager
def another_database(alias: str, file: Path) -> Iterator[None]:
    """The alias leads to a file of SQLite."""
    connections.settings[alias] = {**connections.settings["default"], "NAME": str(file)}
    with suppress(AttributeError):
        del connections[alias]  # of another test
    try:
        yield
    finally:
        with suppress(AttributeError):
            del connections[alias]
        del connections.settings[alias]


def _django_s() -> set[str]:
    plain = load_command_class("django.core", "check").create_parser("manage.py", "check")
    return {action.dest for action in plain._actions} - {"tags", "databases"}


@pytest.mark.parametrize("name", ["x.zip", "x", "x.tar.zip", "x.zst", "x.tar.bz2", "x.zip.age"])
@pytest.mark.parametrize("more", [(), ("--compress", "zstd"), ("--no-encrypt",)])
def test_a_package_is_not_written_under_a_name_that_says_something_else(
    on_project: Project, tmp_path: Path, name: str, more: tuple[str, ...]
) -> None:
    code, _, err = run_command("create_backup", "--output", str(tmp_path / name), *more)

    assert code == 2
    assert name in err
    assert ".tar.gz" in err
    assert Run.objects.count() == 0
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("command", [(name, *LIVE[name]) for name in sorted(LIVE)] + DRY)
@pytest.mark.parametrize("empty", [False, True])
def test_a_mistyped_path_of_sqlite_is_refused_and_nothing_is_made_there(
    nowhere: Path, command: tuple[str, ...], empty: bool
) -> None:
    if empty:
        nowhere.touch()  # what another program's connection leaves
    before = sorted(nowhere.parent.iterdir())

    code, out, err = run_command(*command, "--json")

    assert code == 2
    assert str(nowhere) in err
    assert "migrate" in err
    assert json.loads(out)["errors"][0]["kind"] == "Misconfigured"
    assert sorted(nowhere.parent.iterdir()) == before


def test_what_needs_no_database_makes_none_there(nowhere: Path) -> None:
    run_command("restore_from_package", "--dry-run")
    run_command("show_package", "nowhere")
    with pytest.raises(SystemExit, match="2"):  # critical: nothing is known to be safe
        run_command("backup_status")

    assert not nowhere.exists()


def test_every_other_command_works_on_the_database() -> None:
    assert set(OWN) == set(LIVE) | WITHOUT_A_DATABASE


def test_nothing_is_started_on_a_database_that_does_not_exist(
    on_project: Project, settings: Settings, tmp_path: Path
) -> None:
    """The admin and a schedule start runs too, of a database that need not be the default one."""
    gone = tmp_path / "archive.sqlite3"
    settings.BACKUP = {**settings.BACKUP, "DATABASE": "archive"}
    with another_database("archive", gone):
        for kind in set(chains.CHAINS) - {"verify", "prune"}:
            with pytest.raises(Misconfigured) as refused:
                chains.start(kind, trigger="admin")
            assert refused.value.obj == str(gone)

    assert not gone.exists()
    assert Run.objects.using("default").count() == 0
