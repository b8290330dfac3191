"""What Prometheus reads is what is so; promtool accepts it, the rules and the dashboard."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client
from pytest_django import Settings

from backup_tasks.monitoring import metrics as ours
from backup_tasks.status.conditions import CONDITIONS
from edms.local.errors import ServiceUnavailable
from edms.users.models import User
from tests.habits.pages import coded, page, rows
from tests.integration.standing.conftest import run_here
from tests.services import Project, unavailable

FILES = Path(str(files("backup_tasks") / "monitoring" / "files"))
RULES = FILES / "prometheus-rules.yml"
TOKEN = "0123456789abcdef"


@pytest.fixture
def engine() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


@pytest.fixture
def prometheus(on_project: Project, settings: Settings) -> Client:
    """A client that has the token."""
    settings.BACKUP = {**settings.BACKUP, "MONITORING_TOKEN": TOKEN}
    return Client(headers={"authorization": f"Bearer {TOKEN}"})


def promtool(*arguments: str | Path, stdin: str = "") -> None:
    """Run promtool; it must accept what it is given."""
    program = shutil.which("promtool")
    if program is None:
        unavailable(ServiceUnavailable("promtool is not installed: apt-get install prometheus"))
    done = subprocess.run(
        [program, *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def samples(text: str) -> dict[str, float]:
    """Values by name and labels."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def scrape(client: Client) -> str:
    answer = client.get("/backup/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    return str(answer.content.decode())


def test_a_system_without_a_backup_is_critical(prometheus: Client) -> None:
    found = samples(scrape(prometheus))

    assert found['backup_status{status="critical"}'] == 1
    assert found['backup_status{status="ok"}'] == 0
    assert found['backup_reasons{reason="no_good_backup",status="critical"}'] == 1
    assert not any(name.startswith("backup_last_good") for name in found)


def test_the_figures_are_those_of_the_ledger_and_the_store(
    prometheus: Client, on_project: Project
) -> None:
    backup, drill = run_here("backup"), run_here("drill")

    text = scrape(prometheus)

    found = samples(text)
    size = (on_project.store / backup.package).stat().st_size
    assert drill.finished_at is not None
    assert drill.started_at is not None
    assert found['backup_packages_bytes{store="backups"}'] == size
    assert found['backup_packages{store="backups"}'] == 1
    assert found['backup_runs{kind="drill",state="succeeded"}'] == 1
    took = (drill.finished_at - drill.started_at).total_seconds()
    assert found['backup_run_duration_seconds{kind="drill"}'] == pytest.approx(took)
    for what in ("rows", "files"):
        good = found[f'backup_last_good_timestamp_seconds{{what="{what}"}}']
        assert found[f'backup_last_proven_timestamp_seconds{{what="{what}"}}'] == good
        assert abs(good - backup.created_at.timestamp()) < 60
    assert found['backup_limit_seconds{limit="critical_after"}'] == 48 * 3600
    promtool("check", "metrics", stdin=text)


def test_the_page_names_every_metric_and_no_other(prometheus: Client, on_project: Project) -> None:
    run_here("backup")
    run_here("drill")
    told = page("docs/how-to/monitor-with-prometheus.md").section("The metrics")
    documented = {name for cells in rows(told) for name in coded(cells[0])}
    source = Path(ours.__file__).read_text()
    in_code = set(re.findall(r'name="(backup_\w+)"', source))

    assert documented == in_code
    scraped = {re.split(r"[{ ]", line)[0] for line in samples(scrape(prometheus))}
    assert scraped | {"backup_beat_seen_timestamp_seconds"} == in_code


def test_labels_are_escaped() -> None:
    odd = ours.Metric(name="x", help="h", samples=[({"folder": 'a"b\\c\nd'}, 1)])

    assert list(odd.lines())[-1] == 'x{folder="a\\"b\\\\c\\nd"} 1'


@pytest.mark.parametrize("name", ["metrics", "health"])
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer None"]
)
@pytest.mark.parametrize("token", [TOKEN, None])
def test_whoever_has_no_token_gets_no_answer(
    settings: Settings, name: str, header: str, token: str | None
) -> None:
    settings.BACKUP = {**settings.BACKUP, "MONITORING_TOKEN": token}

    answer = Client().get(f"/backup/{name}", headers={"authorization": header})

    assert answer.status_code == 401
    assert b"no_good_backup" not in answer.content


@pytest.mark.parametrize(
    ("staff", "permissions", "code"),
    [(True, ["view_run"], 200), (True, ["view_package"], 401), (False, ["view_run"], 401)],
)
def test_a_member_of_the_staff_who_may_see_runs_gets_an_answer(
    on_project: Project, staff: bool, permissions: list[str], code: int
) -> None:
    user = User.objects.create_user("ada", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)

    assert client.get("/backup/metrics").status_code == code


def test_nobody_can_write_there(prometheus: Client) -> None:
    assert prometheus.post("/backup/metrics").status_code == 405


def test_health_is_bad_while_the_data_is_not_safe(prometheus: Client) -> None:
    answer = prometheus.get("/backup/health")
    assert answer.status_code == 503
    assert answer.json()["status"] == "critical"
    assert answer.json()["reasons"][0]["reason"] == "no_good_backup"

    run_here("backup")
    answer = prometheus.get("/backup/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "warning")


@pytest.fixture
def without_tables(on_project: Project) -> Iterator[None]:
    """The ledger can't be asked."""
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE backup_tasks_run RENAME TO away")
    yield
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE away RENAME TO backup_tasks_run")


@pytest.mark.usefixtures("without_tables")
@pytest.mark.parametrize("name", ["metrics", "health"])
def test_a_ledger_that_cannot_be_asked_is_no_figure(prometheus: Client, name: str) -> None:
    answer = prometheus.get(f"/backup/{name}")

    assert answer.status_code == 503
    assert b"backup_status{" not in answer.content


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", RULES)


def test_the_rules_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    safe = [
        ('backup_status{instance="shop",status="ok"}', "1x4000"),
        ('backup_last_good_timestamp_seconds{instance="shop",what="rows"}', "0x4000"),
        ('backup_limit_seconds{instance="shop",limit="critical_after"}', "172800x4000"),
        ('backup_beat_seen_timestamp_seconds{instance="shop"}', "0+60x4000"),
    ]
    disk = [('backup_disk_free_bytes{instance="shop",folder="/srv"}', "1000000-1000x4000")]
    cases = [
        case(safe, "BackupTooOld", at="47h", fires={}),
        case(
            safe,
            "BackupTooOld",
            at="48h10m",
            fires={"instance": "shop", "what": "rows", "severity": "critical"},
        ),
        case(safe, "BackupBeatSilent", at="1h", fires={}),
        case(safe, "BackupMetricsMissing", at="1h", fires={}),
        case([], "BackupMetricsMissing", at="20m", fires={"severity": "critical"}),
        case(
            disk,
            "BackupDiskFullInThreeDays",
            at="3h",
            fires={"instance": "shop", "folder": "/srv", "severity": "warning"},
        ),
    ]
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": cases}))

    promtool("test", "rules", path)


def case(
    series: list[tuple[str, str]], alert: str, *, at: str, fires: dict[str, str]
) -> dict[str, Any]:
    """A test as promtool has it. Annotations are taken over: what matters is when it fires."""
    found: list[dict[str, Any]] = []
    if fires:
        rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
        (rule,) = [each for each in rules if each["alert"] == alert]
        annotations = {
            key: text.replace("{{ $labels.instance }}", fires.get("instance", ""))
            .replace("{{ $labels.what }}", fires.get("what", ""))
            .replace("{{ $labels.folder }}", fires.get("folder", ""))
            .replace("{{ $value | humanizeDuration }}", "2d 0h 10m 0s")
            for key, text in rule["annotations"].items()
        }
        found = [{"exp_labels": fires, "exp_annotations": annotations}]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": found}],
    }


def test_rules_and_dashboard_ask_for_metrics_and_reasons_that_there_are(tmp_path: Path) -> None:
    known = set(re.findall(r'name="(backup_\w+)"', Path(ours.__file__).read_text()))
    dashboard = json.loads((FILES / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]

    asked = set(re.findall(r"backup_\w+", " ".join([*expressions, *(r["expr"] for r in rules)])))

    assert asked <= known
    assert {each.name for each in CONDITIONS}.isdisjoint(known)
    group = {
        "name": "dashboard",
        "rules": [
            {"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions)
        ],
    }
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [group]}))
    promtool("check", "rules", path)
