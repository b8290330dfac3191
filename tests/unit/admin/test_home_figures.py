"""What the home page says of broker and workers, of the last backups, and of the disks."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.test import Client

from backup_tasks import moments
from backup_tasks.models import Run
from backup_tasks.storage.backup_disks import free_space
from tests.services import Project
from tests.unit.admin.conftest import SignedIn, run_here
from tests.unit.admin.test_home import HOME, VIEWS, text_of

FRAGMENT = f"{HOME}run/home/"


@pytest.fixture
def engine() -> str:
    """What the page shows does not depend on the database."""
    return "sqlite"


@pytest.fixture
def client(signed_in: SignedIn) -> Client:
    """Somebody who may see runs and packages."""
    return signed_in(*VIEWS)


def told(client: Client, path: str = HOME) -> str:
    """What a person reads there."""
    answer = client.get(path)
    assert answer.status_code == 200
    return text_of(answer.content.decode())


def nights(*rows: int, free: int = 10**9, less: int = 0) -> None:
    """Make a backup for each of the last nights, the last one being the newest."""
    for number, each in enumerate(rows):
        at = moments.now() - timedelta(days=len(rows) - number)
        Run.objects.create(
            id=f"backup-{number}",
            kind=Run.Kind.BACKUP,
            state=Run.State.SUCCEEDED,
            params={"type": "full"},
            trigger="schedule",
            report={
                "models": {"app.model": {"before": each, "expected": each}},
                "files": {"before": 7, "expected": 7},
                "size": 1000,
                "free": dict.fromkeys(free_space(), free - number * less),
            },
            started_at=at,
            finished_at=at + timedelta(seconds=30),
        )
        Run.objects.filter(pk=f"backup-{number}").update(created_at=at)


@pytest.mark.usefixtures("no_broker")
def test_the_page_waits_for_no_broker_and_the_fragment_says_that_there_is_none(
    client: Client,
) -> None:
    assert "Broker is being asked…" in told(client)

    began = time.monotonic()
    page = told(client, FRAGMENT)

    assert time.monotonic() - began < 15
    assert "Warning The broker can't be reached:" in page
    assert "Broker can't be reached:" in page
    assert "no Celery worker answers" not in page.lower()


def test_a_queue_that_nobody_takes_from_says_how_much_waits(client: Client, queue: object) -> None:
    page = told(client, FRAGMENT)

    assert "Broker answers" in page
    assert "No Celery worker answers" in page
    assert "Queue backups 0 messages waiting; no worker takes from it" in page


def test_flower_is_shown_where_a_setting_names_it(client: Client) -> None:
    assert "Flower" not in told(client)
    assert "Flower does not answer the web server at http" in told(client, FRAGMENT)


def test_who_may_not_see_the_light_may_not_have_it_as_a_fragment(signed_in: SignedIn) -> None:
    assert signed_in("view_run").get(FRAGMENT).status_code == 403


def test_a_night_that_lacks_half_of_the_rows_is_marked_and_said(client: Client) -> None:
    nights(100, 102, 104, 106, 108, 50)

    page = client.get(HOME).content.decode()
    read = text_of(page)

    assert "Unlike their neighbours" in read
    assert ": rows 50, 1/2.1 of the usual" in read
    assert page.count("▲</text>") == 1
    assert page.count('<svg viewBox="0 0 320 90" role="img"') == 4
    assert "rows of 6 backups: the last one 50, the highest 108, 1 unlike" in page.lower()
    assert "50 ▲" in read, "the table says it too"
    live = page[page.index('id="backup-live"') :]
    assert "<script" not in live.partition("<footer")[0]
    assert 'style="' not in live


def test_nights_that_are_alike_are_not_marked(client: Client) -> None:
    nights(100, 102, 104, 106, 108, 110)

    page = told(client)

    assert "None of the last 6 is unlike its neighbours" in page
    assert "▲" not in page


def test_a_disk_that_fills_says_on_which_day_it_is_full(
    client: Client, on_demo_project: Project
) -> None:
    nights(1, 1)
    assert "can be estimated after three backups on different days" in told(client)
    Run.objects.all().delete()
    free = min(free_space().values())
    nights(1, 1, 1, 1, free=free + 4 * (free // 10), less=free // 10)

    page = told(client)

    day = moments.now() + timedelta(days=10)
    assert (
        f"full on {day:%Y-%m-%d}" in page or f"full on {day - timedelta(days=1):%Y-%m-%d}" in page
    )
    assert "an estimate from the last 4 backups" in page


def test_a_backup_says_what_it_left_free(on_demo_project: Project) -> None:
    run = run_here("backup")

    assert set(run.report["free"]) == set(free_space())
    assert all(number > 0 for number in run.report["free"].values())
