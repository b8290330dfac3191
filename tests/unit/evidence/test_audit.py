"""Who did what is written down in a chain that breaks where anybody changes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connections
from django.test import Client
from pytest_django import Settings

from backup_tasks import tasks
from backup_tasks.evidence import audit
from backup_tasks.models import AuditEntry, Package, Run
from backup_tasks.package.certificate import Certificate
from backup_tasks.runs import chains
from backup_tasks.storage import verdicts
from edms.users.models import User
from tests.integration.standing.conftest import Change, run_here
from tests.services import Project

pytestmark = pytest.mark.usefixtures("on_project")


def trail() -> list[tuple[str, str, str]]:
    """What was done through what by whom, in order."""
    entries = AuditEntry.objects.exclude(what="settings").order_by("position")
    return list(entries.values_list("what", "through", "by"))


def test_starts_confirmations_and_ends_are_written_down() -> None:
    me = audit.os_user()
    run_here("backup")
    run = chains.start("drill", trigger="admin", requested_by="ada")
    chains.cancel(run.pk, trigger="admin", requested_by="bob")
    call_command("system_reinit", confirm=True, no_safety_backup=True)

    assert trail() == [
        ("started", "command", me),
        ("started", "admin", "ada"),
        ("cancelled", "admin", "bob"),
        ("started", "command", me),
        ("confirmed", "command", me),
    ]
    assert AuditEntry.objects.get(what="confirmed").details == {"confirmed": "--confirm"}
    assert list(audit.broken()) == []


def test_pins_adoptions_and_deletions_are_written_down(change: Change) -> None:
    change(RETENTION={"daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "share": 1})
    package = run_here("backup").package
    call_command("pin_package", package, reason="for the auditor")
    call_command("unpin_package", package)
    call_command("adopt_installation", "0" * 16)
    for _ in range(2):
        run_here("backup")
        run_here("drill")
    run_here("prune")

    found = {(each.what, each.obj) for each in AuditEntry.objects.all()}
    assert {("pinned", package), ("unpinned", package)} <= found
    assert ("adopted", f"installation {'0' * 16}") in found
    gone = AuditEntry.objects.filter(what="deleted")
    assert package in {each.obj for each in gone}
    assert all(each.details["sha256"] and each.details["run"] for each in gone)
    assert not Package.objects.filter(name=package).exists()


def test_a_change_of_the_settings_is_written_down_once_and_tells_no_secret(
    settings: Settings, change: Change
) -> None:
    tasks.reconcile()
    change(
        WARN_AFTER=timedelta(hours=20),
        MONITORING_TOKEN="a-token-that-nobody-may-see",
        PINGS={"cycle": "http://127.0.0.1:9/password"},
    )

    for _ in range(3):
        tasks.reconcile()

    first, second = AuditEntry.objects.filter(what="settings").order_by("position")
    assert first.details["changed"] == []
    assert second.details["changed"] == ["MONITORING_TOKEN", "PINGS", "WARN_AFTER"]
    assert "password" not in str(second.details)
    assert "nobody-may-see" not in str(second.details)


def change_text(entry: AuditEntry) -> None:
    AuditEntry.objects.filter(pk=entry.pk).update(by="somebody else")


def remove(entry: AuditEntry) -> None:
    AuditEntry.objects.filter(pk=entry.pk).delete()


def rewrite(entry: AuditEntry) -> None:
    """With a hash that fits: the entry behind it no longer does."""
    entry.by = "somebody else"
    entry.hash = audit.hash_of(entry)
    AuditEntry.objects.filter(pk=entry.pk).update(by=entry.by, hash=entry.hash)


def move(entry: AuditEntry) -> None:
    AuditEntry.objects.filter(pk=entry.pk).update(position=99)


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (change_text, ["entry 3 was altered"]),
        (remove, ["entries 3 to 3 are missing"]),
        (rewrite, ["entry 4 does not follow the entry before it"]),
        (move, ["entries 3 to 3 are missing", "entries 6 to 98 are missing"]),
    ],
)
def test_whoever_writes_to_the_table_breaks_the_chain(
    attack: Callable[[AuditEntry], None], told: list[str]
) -> None:
    for number in range(5):
        audit.record("started", f"run-{number}", through="command")
    assert list(audit.broken()) == []

    attack(AuditEntry.objects.get(pk=3))

    assert list(audit.broken())[: len(told)] == told


def test_a_certificate_names_the_last_entry_and_so_shows_a_tail_that_was_cut_off(
    on_project: Project, signing: str
) -> None:
    run_here("backup")
    drill = run_here("drill")
    path = on_project.store / "certificates" / f"{drill.pk}.json"

    found = Certificate.from_json(path.read_bytes(), path.name)

    entry = AuditEntry.objects.get(position=found.audit_position)
    assert (entry.obj, entry.hash) == (drill.pk, found.audit_hash)


def test_it_survives_a_restore_of_a_package_that_is_older(on_project: Project) -> None:
    package = run_here("backup").package
    audit.record("downloaded", package, through="admin", by="ada")

    call_command("restore_from_package", package, confirm=True, type="full")
    call_command("undo_restore", confirm=True)

    assert ("downloaded", "admin", "ada") in trail()
    assert list(audit.broken()) == []
    assert AuditEntry.objects.count() >= 6


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_details_are_hashed_as_each_database_gives_them_back() -> None:
    details = {"n": [1e22, 1.0, -0.0, 1e-7, float("inf")], "path": "a\x00\udcff\n", "\x00": {}}

    entry = audit.record("pinned", "edms-1", through="code", details=details)

    assert list(audit.broken()) == []
    entry.refresh_from_db()
    assert entry.details == {
        "n": [10**22, 1, 0, 1e-7, "Infinity"],
        "path": "a\\x00\\xff\n",
        "\\x00": {},
    }


def test_where_sqlite_locks_at_the_first_write_they_make_one_chain_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it does where a project sets no transaction_mode."""
    options: dict[str, Any] = connections["default"].settings_dict["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    monkeypatch.delitem(options, "transaction_mode")
    connections["default"].close()
    test_many_at_once_make_one_chain()


def test_many_at_once_make_one_chain() -> None:
    def write(number: int) -> None:
        for each in range(5):
            audit.record("started", f"{number}-{each}", through="code")
        connections.close_all()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert AuditEntry.objects.count() == 20
    assert list(audit.broken()) == []


def test_a_run_is_never_in_the_ledger_without_the_entry_that_says_who_started_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is killed, or cut off, between the two has started nothing."""
    record = audit.record

    def cut_off(what: str, *arguments: Any, **named: Any) -> AuditEntry:
        if what == "confirmed":
            raise OperationalError("the connection was lost")
        return record(what, *arguments, **named)

    monkeypatch.setattr(audit, "record", cut_off)

    with pytest.raises(OperationalError):
        chains.start("reinit", trigger="command", confirmed="--confirm")

    assert not Run.objects.exists()
    assert not AuditEntry.objects.filter(what="started").exists()


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "mariadb"])
def test_runs_that_start_at_once_make_one_chain() -> None:
    def start() -> None:
        for _ in range(5):
            chains.start("verify", trigger="code")
        connections.close_all()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert AuditEntry.objects.filter(what="started").count() == Run.objects.count() == 20
    assert list(audit.broken()) == []


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_the_admin_shows_it_and_changes_nothing(root: Client) -> None:
    run = run_here("backup")
    first = AuditEntry.objects.order_by("position").last()
    assert first is not None
    base = "/admin/backup_tasks/auditentry/"

    listed = root.get(base).content.decode()
    shown = root.get(f"{base}{first.pk}/change/").content.decode()

    assert run.pk in listed
    assert f"{AuditEntry.objects.count()} audit entries" in listed
    assert "Verify the chain" in listed
    assert first.hash in shown
    assert root.post(f"{base}{first.pk}/change/").status_code == 405
    assert root.post(f"{base}{first.pk}/delete/").status_code == 403
    assert root.get(f"{base}add/").status_code == 403


def test_the_admin_says_whether_the_chain_holds(root: Client) -> None:
    verify = "/admin/backup_tasks/auditentry/verify/"
    assert "There is no entry yet" in root.get(verify).content.decode()
    for number in range(3):
        audit.record("started", f"run-{number}", through="command")
    assert "✓ The chain holds: 3 entries" in root.get(verify).content.decode()

    change_text(AuditEntry.objects.get(pk=2))

    told = root.get(verify).content.decode()
    assert "✗ The chain is broken" in told
    assert "Entry 2 was altered" in told
    page = root.get("/admin/backup_tasks/auditentry/2/change/").content.decode()
    assert "This entry was altered" in page


def test_who_may_not_see_it_does_not(on_project: Project) -> None:
    client = Client()
    client.force_login(User.objects.create_user("ada", is_staff=True))

    for path in ("", "verify/"):
        assert client.get(f"/admin/backup_tasks/auditentry/{path}").status_code == 403


def test_a_pin_in_the_admin_names_the_user(root: Client) -> None:
    run_here("backup")
    package = Package.objects.get()

    root.post(f"/admin/backup_tasks/package/{package.pk}/pin/")

    assert trail()[-1] == ("pinned", "admin", "root")
    assert verdicts.standings([package.sha256])[package.sha256].pinned
