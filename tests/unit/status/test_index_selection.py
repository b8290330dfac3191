"""What is chosen among the few rows that are read is what would be chosen among all."""

from __future__ import annotations

import random
import shutil
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.models import Package, PackageVerdict
from backup_tasks.status import packages
from backup_tasks.status.packages import Looked
from backup_tasks.storage import index_selection, last_good, verdicts
from backup_tasks.storage.installation import own_installations, this_installation
from backup_tasks.storage.last_good import Candidate
from tests.services import Project

pytestmark = pytest.mark.usefixtures("on_project")


@pytest.fixture
def engine() -> str:
    """What is asked of the database is the same for all."""
    return "sqlite"


def some(project: Project, chance: random.Random, number: int) -> None:
    """Make packages of all kinds, and how their tests ended."""
    own = this_installation()
    project.store.mkdir(exist_ok=True)
    good = chance.choice([0.1, 0.5, 0.95])

    def mostly(usual: Any, *others: Any) -> Any:
        return usual if chance.random() < good else chance.choice(others)

    installations = chance.choice([(own, "", "f" * 16), ("e" * 16,), ("e" * 16, "f" * 16)])
    types = chance.choice([("full",), ("full", "database", "files"), ("database", "files")])
    for each in range(number):
        age = timedelta(hours=each, minutes=chance.randrange(-120, 120))
        row = Package.objects.create(
            name=f"edms-{each}.tar.zst",
            store=mostly("backups", "elsewhere"),
            package_id=f"{each:032}",
            label=mostly("", "safety", "hourly"),
            type=mostly(chance.choice(types), "partial"),
            size=each,
            sha256=f"{each // chance.choice([1, 1, 2]):064}",
            encrypted=False,
            signed=False,
            rows=1,
            files=1,
            created_at=moments.now() - age,
            project=mostly(backup_settings().project, "shop"),
            installation=mostly(installations[0], *installations),
            incomplete=mostly("", "files are missing"),
            trusted=mostly(True, False),
            seen_at=moments.now(),
        )
        if chance.random() < 0.9 and row.store == "backups":
            (project.store / row.name).write_bytes(b"\0" * each)
        for test in ("bytes", "contents", "restore"):
            for passed in (True, False):
                if chance.random() < (0.3 if passed else 0.15):
                    at = moments.now() - timedelta(minutes=chance.randrange(10_000))
                    PackageVerdict.objects.get_or_create(
                        sha256=row.sha256, test=test, passed=passed, defaults={"at": at}
                    )


def among_all(looked: Looked) -> Looked:
    """The same with every package that is there, and all that is known of it."""
    rows = Package.objects.order_by("-created_at", "-name")
    known = verdicts.standings(row.sha256 for row in rows)
    there = [row for row in rows if row.store == "backups" and row.name not in looked.gone]
    candidates = [Candidate.of_row(row, known[row.sha256]) for row in there]
    return Looked(candidates=candidates, own=own_installations())


def test_the_rows_that_are_read_decide_as_all_would(
    on_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_selection, "_FIRST", 3)
    kinds = set()
    for seed in range(60):
        some(on_project, random.Random(seed), 30)

        looked = packages.in_index()
        found, expected = packages.facts_of(looked), packages.facts_of(among_all(looked))

        for what in ("points", "passed_over"):
            assert found[what] == expected[what], f"world {seed}"
        failed = [sorted(each.name for each in facts["failed"]) for facts in (found, expected)]
        assert failed[0] == failed[1], f"world {seed}"
        kinds |= {(bool(p.good), bool(p.proven)) for p in found["points"]}
        shutil.rmtree(on_project.store)
        PackageVerdict.objects.all().delete()
        Package.objects.all().delete()
    assert kinds == {(True, True), (True, False), (False, False)}


def test_a_thousand_packages_take_as_few_queries_as_ten(on_project: Project) -> None:
    some(on_project, random.Random(1), 10)
    with CaptureQueriesContext(connection) as few:
        packages.in_index()
    newest = Package.objects.create(
        name="edms-new.tar.zst",
        store="backups",
        package_id=f"{1:032x}",
        label="",
        type="full",
        size=0,
        sha256="f" * 64,
        encrypted=False,
        signed=False,
        rows=1,
        files=1,
        created_at=moments.now(),
        project=backup_settings().project,
        installation=this_installation(),
        trusted=True,
    )
    (on_project.store / newest.name).touch()
    PackageVerdict.objects.create(
        sha256=newest.sha256, test="restore", passed=True, at=moments.now()
    )
    rows = []
    for number in range(1000):
        rows.append(Package.objects.get(pk=newest.pk))
        rows[-1].pk, rows[-1].name = None, f"edms-old-{number}.tar.zst"
        rows[-1].created_at = moments.now() - timedelta(days=number + 1)
    Package.objects.bulk_create(rows)

    with CaptureQueriesContext(connection) as many:
        looked = packages.in_index()

    assert len(many) <= len(few) <= 6
    assert len(looked.candidates) < 200
    assert looked.held["backups"].packages + len(looked.gone) >= 1000


def test_a_package_with_the_label_of_a_schedule_is_read_and_counts(
    on_project: Project, settings: Settings
) -> None:
    some(on_project, random.Random(1), 30)
    PackageVerdict.objects.all().delete()
    Package.objects.update(
        label="hourly",
        type="full",
        project=backup_settings().project,
        installation=this_installation(),
        trusted=True,
        incomplete="",
    )
    assert packages.in_index().candidates == []

    hourly = {"cron": "0 * * * *", "label": "hourly"}
    project = Package.objects.values_list("project", flat=True).first()
    settings.BACKUP = {**settings.BACKUP, "PROJECT": project, "SCHEDULES": {"hourly": hourly}}

    looked = packages.in_index()
    good = last_good.newest(looked.candidates, own=looked.own)
    assert good is not None
    assert good == last_good.newest(among_all(looked).candidates, own=looked.own)
