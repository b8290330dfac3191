"""A drill of a package of several databases: each is loaded and proven, and nothing is left."""

import pytest

from backup_tasks import api
from backup_tasks.engines import engine_for
from backup_tasks.errors import ValidationFailed
from backup_tasks.rows import parallel_load
from tests.integration.several.conftest import Two


def test_a_drill_proves_each_database(two: Two) -> None:
    before = two.contents()
    api.run_here("backup", {"output": str(two.package)})

    run = api.run_here("drill", {"package": str(two.package)})

    models = run.report["models"]
    for name in ("documents.document", "documents.documenttype"):
        for key in (name, f"archive:{name}"):
            assert models[key]["after"] == models[key]["expected"], key
            assert models[key]["digest_equal"], key
    assert models["documents.document"]["after"] == 5
    assert [engine_for(alias).schemas() for alias in ("default", "archive")] == [[], []]
    assert two.contents() == before


def test_a_difference_in_the_further_database_fails_the_drill(
    two_files: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that loses a row of the further database is found, and the model is named."""
    api.run_here("backup", {"output": str(two_files.package)})
    write = parallel_load._load_one

    def lossy(engine: object, job: parallel_load.Job, progress: object) -> int:
        found = write(engine, job, progress)  # type: ignore[arg-type]
        if (
            job.codec.connection.alias == "archive"
            and job.codec.label == "documents.documentsource"
        ):
            with job.codec.connection.cursor() as cursor:
                cursor.execute("DELETE FROM documents_documentsource")
        return found

    monkeypatch.setattr(parallel_load, "_load_one", lossy)

    with pytest.raises(ValidationFailed, match=r"archive.*documents\.documentsource"):
        api.run_here("drill", {"package": str(two_files.package)})
