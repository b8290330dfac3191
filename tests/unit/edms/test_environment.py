"""Configuration from environment variables."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from edms import environment


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from a file\n")
    monkeypatch.setenv("A_KEY_FILE", str(path))
    assert environment.secret("A_KEY") == "from a file"


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "one")
    monkeypatch.setenv("A_KEY_FILE", "/two")
    with pytest.raises(ImproperlyConfigured, match="both set"):
        environment.secret("A_KEY")


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY_FILE", "/nowhere/key")
    with pytest.raises(ImproperlyConfigured, match="/nowhere/key"):
        environment.secret("A_KEY")


@pytest.mark.parametrize(("value", "expected"), [("", True), ("off", False), ("Yes", True)])
def test_a_flag_is_read(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("A_FLAG", value)
    assert environment.flag("A_FLAG", default=True) is expected


def test_a_flag_that_is_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_FLAG", "perhaps")
    with pytest.raises(ImproperlyConfigured, match="perhaps"):
        environment.flag("A_FLAG", default=True)


@pytest.mark.parametrize(("value", "expected"), [("", 5), ("1", 1), ("1000000", 1_000_000)])
def test_a_number_is_read(monkeypatch: pytest.MonkeyPatch, value: str, expected: int) -> None:
    monkeypatch.setenv("A_NUMBER", value)
    assert environment.number("A_NUMBER", 5) == expected


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "1000001", "9" * 5000, "²"])
def test_a_number_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("A_NUMBER", value)
    with pytest.raises(ImproperlyConfigured, match="A_NUMBER"):
        environment.number("A_NUMBER", 5)


def test_a_sqlite_url_names_a_file(tmp_path: Path) -> None:
    entry = environment.database(f"sqlite:///{tmp_path}/edms.sqlite3")
    assert entry["NAME"] == str(tmp_path / "edms.sqlite3")
    assert "journal_mode=WAL" in entry["OPTIONS"]["init_command"]


def test_a_folder_that_does_not_exist_is_not_made_of_a_mistyped_path(tmp_path: Path) -> None:
    """The commands that need the database refuse it; the stores are listed all the same."""
    entry = environment.database(f"sqlite:///{tmp_path}/mistyped/edms.sqlite3")

    assert entry["NAME"] == f"{tmp_path}/mistyped/edms.sqlite3"
    assert list(tmp_path.iterdir()) == []


def test_a_server_url_is_taken_apart() -> None:
    entry = environment.database(
        "postgres://an%40a:p%2Fw@db.example.com:6432/edms?sslmode=require&conn_max_age=5"
    )
    assert (entry["USER"], entry["PASSWORD"]) == ("an@a", "p/w")
    assert (entry["HOST"], entry["PORT"], entry["NAME"]) == ("db.example.com", "6432", "edms")
    assert entry["OPTIONS"] == {"sslmode": "require"}
    assert entry["CONN_MAX_AGE"] == 5


def test_a_server_on_a_socket_is_given_by_its_folder() -> None:
    entry = environment.database("postgres://edms@/edms?host=/run/postgresql")
    assert entry["HOST"] == "/run/postgresql"


@pytest.mark.parametrize("url", ["oracle://x/y", "postgres://host", "sqlite://"])
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        environment.database(url)


def test_a_store_is_a_folder_or_a_bucket(tmp_path: Path) -> None:
    assert environment.store(str(tmp_path))["OPTIONS"] == {"location": str(tmp_path)}
    bucket = environment.store("s3://backups/edms/nightly")
    assert bucket["OPTIONS"]["bucket_name"] == "backups"
    assert bucket["OPTIONS"]["location"] == "edms/nightly"
