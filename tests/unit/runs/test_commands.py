"""The command line: options, exit codes, one JSON object, progress."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from backup_tasks import ledger
from backup_tasks.errors import PackageDamaged, StorageUnavailable, ValidationFailed
from backup_tasks.ledger.report import build
from backup_tasks.management.progress import ProgressDisplay
from backup_tasks.management.tables import counts_table, size_text
from backup_tasks.models import Run
from backup_tasks.runs import chains, execution
from backup_tasks.steps import Work
from edms.celery import app
from tests.integration.celery.stage import forget_connections
from tests.services import Project
from tests.unit.runs.conftest import again, by_another, claimed
from tests.unit.runs.test_report import CYCLE

DESTRUCTIVE = [
    ("restore_from_package", "p.tar.zst"),
    ("system_reinit",),
    ("undo_restore",),
]
ALL_KEYS = {"ok", "run", "package", "counts", "errors"}


@pytest.fixture
def engine() -> str:
    """What is tried here does not depend on the database."""
    return "sqlite"


@pytest.fixture
def verbs(on_project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Verbs that return what the real ones do; call it with others by name."""

    def put(**functions: Callable[[Work], Mapping[str, Any]]) -> None:
        for name, function in functions.items():
            monkeypatch.setitem(execution.VERBS, name, returning(function))

    def returning(function: Callable[[Work], Mapping[str, Any]]) -> Callable[[Work], Any]:
        return lambda work: dict(function(work))

    def usual(step: str) -> Callable[[Work], Mapping[str, Any]]:
        return lambda work: CYCLE.get(step, {})

    put(**{step: usual(step) for chain in chains.CHAINS.values() for step in chain})
    put(fetch=lambda work: CYCLE["verify"], prune=lambda work: {"removed": ["old.tar.zst"]})
    return put


def run_command(*arguments: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), f"{err.getvalue()}{error}"
    return 0, out.getvalue(), err.getvalue()


def test_a_cycle_prints_one_json_object_and_nothing_else(verbs: Callable[..., None]) -> None:
    code, out, err = run_command("backup_cycle", "--promote", "--json")

    told = json.loads(out)
    assert code == 0
    assert set(told) >= ALL_KEYS
    assert told["ok"] is True
    assert told["errors"] == []
    assert told["package"] == "p.tar.zst"
    assert told["counts"]["d.document"] == {
        "before": 5,
        "after_reinit": 0,
        "after": 5,
        "expected": 5,
    }
    assert told["run"] == Run.objects.get().pk
    assert err.count("✓") == 8


def test_a_cycle_prints_a_table(verbs: Callable[..., None]) -> None:
    code, out, _ = run_command("backup_cycle", "--promote")

    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["d.document", "5", "0", "5", "5", "yes"] in lines
    assert ["u.user", "10", "2", "10", "10", "yes"] in lines
    assert "Warning: one file is missing" in out
    assert out.rstrip().endswith("succeeded: p.tar.zst")


@pytest.mark.parametrize("command", DESTRUCTIVE, ids=lambda command: command[0])
@pytest.mark.parametrize("json_too", [False, True])
def test_without_confirmation_nothing_is_touched(
    verbs: Callable[..., None], command: tuple[str, ...], json_too: bool
) -> None:
    """F14"""
    code, out, err = run_command(*command, *(["--json"] if json_too else []))

    assert code == 3
    assert "--confirm" in err
    assert Run.objects.count() == 0
    if json_too:
        told = json.loads(out)
        assert (told["ok"], told["errors"][0]["kind"]) == (False, "NotConfirmed")


@pytest.mark.parametrize("command", DESTRUCTIVE, ids=lambda command: command[0])
def test_with_confirmation_it_is_done(verbs: Callable[..., None], command: tuple[str, ...]) -> None:
    code, _, _ = run_command(*command, "--confirm")

    assert code == 0
    assert Run.objects.get().state == Run.State.SUCCEEDED


def test_a_dry_run_tells_what_would_happen_and_starts_nothing(on_project: Project) -> None:
    code, out, _ = run_command("system_reinit", "--dry-run")
    told = json.loads(run_command("system_reinit", "--dry-run", "--no-safety-backup", "--json")[1])

    assert code == 0
    assert out.splitlines()[0].split() == ["model", "now", "then"]
    assert ["users.user", "2", "–"] in [line.split() for line in out.splitlines()]
    assert out.rstrip().endswith("Nothing was changed.")
    assert (told["ok"], told["dry_run"], told["run"]) == (True, True, None)
    assert told["plan"]["models"]["users.user"]["now"] == 2
    assert told["plan"]["safety_backup"] is False
    assert Run.objects.count() == 0


def test_the_options_of_a_backup_become_its_parameters(
    verbs: Callable[..., None], tmp_path: Path
) -> None:
    output = tmp_path / "x.tar.gz"

    code, _, _ = run_command(
        *("create_backup", "--type", "export", "--output", str(output), "--label", "friday"),
        *("--compress", "gzip", "--no-encrypt", "--no-include-users"),
        *("--include", "documents", "--include", "users.Role", "--exclude", "documents.Comment"),
        "--accept-missing-files",
    )

    assert code == 0
    assert Run.objects.get().params == {
        "type": "export",
        "output": str(output),
        "label": "friday",
        "compress": "gzip",
        "encrypt": False,
        "include_users": False,
        "accept_missing_files": True,
        "include": ["documents", "users.Role"],
        "exclude": ["documents.Comment"],
        "then": "",
    }


def test_what_is_not_said_is_left_to_the_settings(verbs: Callable[..., None]) -> None:
    run_command("create_backup")

    assert Run.objects.get().params == chains.PARAMS["backup"]


def test_an_output_in_a_folder_that_does_not_exist_is_a_usage_error(
    verbs: Callable[..., None], tmp_path: Path
) -> None:
    code, _, err = run_command("create_backup", "--output", str(tmp_path / "no" / "x.tar.gz"))

    assert code == 2
    assert "mkdir" in err
    assert Run.objects.count() == 0


def test_a_restore_takes_a_path_or_a_name(
    verbs: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here.tar.zst").touch()
    identity = tmp_path / "key"
    identity.touch()
    monkeypatch.chdir(tmp_path)

    run_command("restore_from_package", "here.tar.zst", "--confirm", "--no-safety-backup")
    run_command(
        *("restore_from_package", "there.tar.zst", "--type", "files", "--confirm"),
        *("--identity", "key", "--allow-unsigned"),
    )

    second, first = Run.objects.all()
    assert first.params["package"] == str(tmp_path / "here.tar.zst")
    assert first.params["safety"] is False
    assert not first.steps.filter(name="safety").exists()
    assert second.params["package"] == "there.tar.zst"
    assert second.params["type"] == "files"
    assert second.params["identity"] == str(identity)
    assert second.params["allow_unsigned"] is True


def test_an_identity_that_is_not_there_is_a_missing_key(verbs: Callable[..., None]) -> None:
    code, _, _ = run_command("restore_from_package", "p", "--confirm", "--identity", "/no/key")

    assert code == 6
    assert Run.objects.count() == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PackageDamaged("cut in half", obj="p.tar.zst", hint="Take another."), 5),
        (ValidationFailed("d.document: expected 5, found 4", obj="d.document"), 7),
    ],
)
def test_a_failure_has_its_exit_code_and_says_what_to_do(
    verbs: Callable[..., None], error: Exception, code: int
) -> None:
    def failing(work: Work) -> dict[str, Any]:
        raise error

    verbs(validate=failing)

    ended, out, err = run_command("backup_cycle", "--json")

    told = json.loads(out)
    assert ended == code
    assert told["ok"] is False
    assert told["run"] == Run.objects.get().pk
    assert told["counts"]["d.document"]["before"] == 5
    assert told["errors"][0]["what"] in err
    assert Run.objects.get().state == Run.State.FAILED


def test_a_second_restore_is_refused_with_exit_code_4(verbs: Callable[..., None]) -> None:
    first = chains.start("reinit", trigger="command")
    by_another(first, "safety")

    code, _, err = run_command("restore_from_package", "p.tar.zst", "--confirm")

    assert code == 4
    assert first.pk in err


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody listens where the broker should be."""
    monkeypatch.setitem(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    forget_connections(app)
    yield
    forget_connections(app)


def test_a_run_for_the_workers_has_failed_when_the_broker_is_away_and_can_be_resumed_here(
    verbs: Callable[..., None], no_broker: None
) -> None:
    code, _, err = run_command("create_backup", "--enqueue")

    run = Run.objects.get()
    assert code == 1
    assert "the broker does not answer" in err
    assert (run.state, run.live_lock) == (Run.State.FAILED, None)

    code, _, _ = run_command("resume_run", run.pk)
    assert code == 0
    assert again(run).state == Run.State.SUCCEEDED


def test_a_failed_run_is_listed_resumed_and_an_active_one_cancelled(
    verbs: Callable[..., None],
) -> None:
    failed = chains.start("backup", trigger="command")
    ledger.fail(claimed(failed), StorageUnavailable("no answer"))
    active = chains.start("drill", trigger="command")

    told = json.loads(run_command("runs", "--json")[1])
    assert [(run["run"], run["state"]) for run in told["runs"]] == [
        (active.pk, "pending"),
        (failed.pk, "failed"),
    ]
    assert "no answer" in run_command("runs")[1]

    assert run_command("resume_run", failed.pk)[0] == 0
    assert run_command("cancel_run", active.pk)[0] == 0
    assert run_command("cancel_run", active.pk)[0] == 1
    states = dict(Run.objects.values_list("pk", "state"))
    assert states == {failed.pk: "succeeded", active.pk: "cancelled"}
    assert run_command("runs", "--watch")[0] == 0, "nothing is active, so there is nothing to wait"


def test_pruning_tells_what_was_removed(verbs: Callable[..., None]) -> None:
    _, out, _ = run_command("prune_packages")
    told = json.loads(run_command("prune_packages", "--dry-run", "--json")[1])

    assert "old.tar.zst\n1 package removed" in out
    assert (told["removed"], told["dry_run"]) == (["old.tar.zst"], True)


def test_a_terminal_gets_a_bar_and_a_log_gets_lines() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        display = ProgressDisplay(stream)
        display.started("dump", 2, 5)
        display._drawn = 0.0
        display.progressed(50, 100, "documents")
        display.retrying(StorageUnavailable("no answer"), 4)
        display.ended({})

    assert "[████████████············] 50/100 documents" in terminal.getvalue()
    assert [line[:10] for line in log.getvalue().splitlines()] == ["! 2/5 dump", "✓ 2/5 dump"]


def test_a_table_leaves_out_what_nobody_counted_and_shows_what_differs() -> None:
    backup = counts_table(build({"snapshot": CYCLE["snapshot"]}))
    wrong = build(
        {**CYCLE, "validate": {"counts": {"d.document": 4}, "digests_equal": {"d.document": False}}}
    )

    assert backup.splitlines()[0].split() == ["model", "before"]
    assert "NO" in counts_table(wrong)
    assert counts_table(build({})) == ""
    assert [size_text(size) for size in (999, 1500, 3_700_000)] == ["999 B", "1.5 kB", "3.7 MB"]
