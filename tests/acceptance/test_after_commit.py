"""What fails when live has been replaced already: the run has succeeded, and says so."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from backup_tasks.engines import engine_for
from backup_tasks.restore import concurrent_writes
from backup_tasks.runs import chains
from backup_tasks.runs.foreground import run_here
from backup_tasks.steps import promote as promote_step
from edms.documents.models import Tag
from tests.acceptance.contents import contents
from tests.integration.rows.transfer import Silent, run
from tests.integration.standing.conftest import fails, known
from tests.services import Project

# DROP SCHEMA is what comes last.
NO_MOVES = """
    CREATE FUNCTION no_moves() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN IF current_query() LIKE '%"documents_document" SET SCHEMA%'
    THEN RAISE 'tables are moved by nobody'; END IF; END $$;
    CREATE EVENT TRIGGER no_moves ON ddl_command_start EXECUTE FUNCTION no_moves();
"""
NO_DROPS = """
    CREATE FUNCTION no_drops() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN IF tg_tag = 'DROP SCHEMA' THEN RAISE 'schemas are dropped by nobody'; END IF; END $$;
    CREATE EVENT TRIGGER no_drops ON ddl_command_start EXECUTE FUNCTION no_drops();
"""


@pytest.fixture(params=["postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """It has the schemas, and the triggers that keep them."""
    name: str = request.param
    return name


@pytest.fixture
def package(on_demo_project: Project, tmp_path: Path) -> str:
    run("backup", output=str(tmp_path / "all.tar"))
    return str(tmp_path / "all.tar")


def test_a_staging_that_can_not_be_dropped_is_a_warning_and_the_next_prune_removes_it(
    on_demo_project: Project, package: str
) -> None:
    before = contents(on_demo_project)
    with psycopg.connect(on_demo_project.database_url, autocommit=True) as admin:
        admin.execute(NO_DROPS)
        Tag.objects.create(name="later")

        done = run("restore", package=package)

        assert done.state == "succeeded"
        (warning,) = [line for line in done.report["warnings"] if "was not dropped" in line]
        assert "schemas are dropped by nobody" in warning
        assert contents(on_demo_project) == before
        undone = run("undo")
        assert undone.state == "succeeded"
        assert Tag.objects.filter(name="later").exists()
        told = undone.report["warnings"]
        # What the undo has used up, and what the restore had left.
        used = [engine_for("default").schema_name(of, done.pk) for of in ("undo", "staging")]
        assert [line.partition(" ")[0] for line in told] == used
        assert all("schemas are dropped by nobody" in line for line in told)
        admin.execute("DROP EVENT TRIGGER no_drops")

    run("prune")

    engine = engine_for("default")
    assert set(engine.schemas()) == {engine.schema_name("undo", pk) for pk in (done.pk, undone.pk)}


def test_a_comparison_that_fails_is_a_warning(
    on_demo_project: Project, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = concurrent_writes.written_since_backup

    def without_kept_tables(engine: Any, kept: str, *arguments: Any) -> Any:
        engine.drop(kept)
        return compare(engine, kept, *arguments)

    monkeypatch.setattr(promote_step, "written_since_backup", without_kept_tables)

    done = run("restore", package=package)

    assert done.state == "succeeded"
    (warning,) = [line for line in done.report["warnings"] if "failed afterwards" in line]
    assert "finding what was written since the backup" in warning
    assert done.report["concurrent_writes"] == {}


# A drill


def test_a_drill_whose_promote_would_be_refused_fails_and_its_package_stays_proven(
    on_demo_project: Project,
) -> None:
    """An event trigger is what only a swap finds."""
    package = run("backup").package
    with psycopg.connect(on_demo_project.database_url, autocommit=True) as admin:
        admin.execute(NO_MOVES)

        drilled = fails("drill", package=package)

        admin.execute("DROP EVENT TRIGGER no_moves")
    error = drilled.error
    assert error
    assert error["exit_code"] == 8
    assert "tables are moved by nobody" in error["what"]
    assert "restored into staging and validated, and is proven" in error["hint"]
    assert known(package).standing.proven
    engine = engine_for("default")
    assert engine.schemas() == [engine.schema_name("staging", drilled.pk)]

    run_here(chains.resume(drilled.pk, on_workers=False), watcher=Silent())

    drilled.refresh_from_db()
    assert drilled.state == "succeeded"
    assert engine.schemas() == []


def test_a_drill_that_can_not_remove_its_files_has_proven_its_package_and_says_so(
    on_demo_project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run("backup")

    def refuse(folder: Any) -> None:
        raise PermissionError(13, "Permission denied", "staging")

    monkeypatch.setattr("backup_tasks.restore.run_folder.RunFolder.remove", refuse)

    drilled = run("drill")

    assert drilled.state == "succeeded"
    (warning,) = [line for line in drilled.report["warnings"] if "staged files" in line]
    assert warning.startswith("the package was restored into staging and validated, and is proven")
    assert "Permission denied" in warning
    assert "the next prune tries it again" in caplog.text
