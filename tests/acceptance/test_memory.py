"""Invariant 9, rows: what a backup and a restore hold in memory does not grow with the data."""

import sys
from pathlib import Path

import pytest

from tests.services import EVERY_ENGINE, MakeProject, Project

MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def peak(project: Project, *arguments: str | Path) -> int:
    """Run a command of the project; return its peak memory in KiB."""
    command = (sys.executable, "manage.py", *arguments)
    done = project.run(sys.executable, "-c", MEASURED, *command)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("engine", EVERY_ENGINE)
def test_ten_times_the_rows_take_no_more_memory(
    engine: str, make_project: MakeProject, tmp_path: Path
) -> None:
    """T5: a deserializer that reads the whole file holds some 3 KB for each row, 150 MB here."""
    peaks = []
    for documents in ("400", "4000"):
        project, package = make_project(engine), tmp_path / f"{documents}.tar.zst"
        project.succeed("generate_documents", "--documents", documents, "--seed", "7")
        backup = peak(project, "create_backup", "--output", package)
        restore = peak(project, "restore_from_package", package, "--confirm", "--no-safety-backup")
        peaks.append((backup, restore))

    (small_backup, small_restore), (large_backup, large_restore) = peaks
    assert large_backup < small_backup + (16 << 10)
    assert large_restore < small_restore + (16 << 10)
