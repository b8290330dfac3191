"""The compose file says what it promises, to every engine that can read it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.habits.pages import ROOT, coded, page, rows

FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text(encoding="utf-8")
STACK: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
DEFAULT = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def filled_in(value: Any) -> str:
    """A value as it is where `.env` sets nothing."""
    return DEFAULT.sub(lambda match: match[2] or "", str(value))


def variables(service: str) -> dict[str, str]:
    found = SERVICES[service].get("environment", {})
    return {name: filled_in(value) for name, value in found.items()}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_container_has_limits_of_memory_and_processes(service: str) -> None:
    limits = {name: filled_in(SERVICES[service][name]) for name in ("mem_limit", "pids_limit")}

    assert re.fullmatch(r"[1-9][0-9]*[mg]", limits["mem_limit"])
    assert 100 <= int(limits["pids_limit"]) <= 1000


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_container_may_gain_rights(service: str) -> None:
    told = SERVICES[service]

    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]


def test_only_the_worker_for_backups_has_the_keys_that_open_and_sign() -> None:
    keys = {"backup_identity", "backup_signing_key"}
    holders = {name for name, told in SERVICES.items() if keys & set(told.get("secrets", []))}

    assert holders == {"worker-backups"}
    assert keys <= set(SERVICES["worker-backups"]["secrets"])
    assert variables("worker-backups")["BACKUP_SIGNING_KEY_FILE"] == ""
    assert "BACKUP_SIGNING_KEY_FILE" not in variables("web")


def test_whoever_reads_packages_knows_whose_signature_to_trust() -> None:
    app = [name for name, told in SERVICES.items() if "edms" in str(told.get("image"))]

    assert len(app) == 6
    assert all("BACKUP_TRUSTED_KEYS" in variables(name) for name in app)


def test_every_secret_is_made_and_none_is_made_that_nobody_reads(tmp_path: Path) -> None:
    script = (ROOT / "docker" / "make-secrets").read_text(encoding="utf-8")
    made = set(re.findall(r"^secret (\w+)", script, re.MULTILINE))
    used = {name for told in SERVICES.values() for name in told.get("secrets", [])}

    assert made == set(STACK["secrets"])
    assert used == set(STACK["secrets"])


def test_every_variable_is_documented_with_its_default_and_no_other() -> None:
    section = page("docs/how-to/deploy-with-compose.md").section("Variables")
    told = {
        name: default
        for names, defaults, _ in rows(section)
        for name, default in zip(
            coded(names), coded(defaults) or [""] * len(coded(names)), strict=True
        )
    }

    assert told == {name: default or "" for name, default in DEFAULT.findall(TEXT)}


def test_every_variable_of_a_container_is_one_that_the_edms_reads() -> None:
    section = page("docs/reference/settings.md").section("Environment variables of the EDMS")
    read = {name for variable, _, _ in rows(section) for name in coded(variable)}
    of_the_image = {"WAIT_FOR", "WEB_CONCURRENCY", "FLOWER_BASIC_AUTH_FILE", "FLOWER_URL_PREFIX"}

    assert set(variables("worker-backups")) | set(variables("web")) <= read | of_the_image
