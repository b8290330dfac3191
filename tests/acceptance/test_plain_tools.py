"""A package is recovered without this project: `age | zstd | tar`, then Django's own `loaddata`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.reader import unpack
from tests.acceptance.contents import files
from tests.acceptance.crafting import ignore
from tests.services import MakeProject, Project

PIPES = {
    "x.tar.gz": ("gzip -dc < x.tar.gz | tar x -C out", ("gzip", "tar")),
    "x.tar.zst": ("zstd -dc < x.tar.zst | tar x -C out", ("zstd", "tar")),
    "x.tar.zst.age": (
        "age -d -i identity x.tar.zst.age | zstd -dc | tar x -C out",
        ("age", "zstd", "tar"),
    ),
}


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            reason = f"{program} is not installed"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def manifest_of(project: Project, folder: Path) -> Manifest:
    """What a backup of the project says of it."""
    folder.mkdir()
    target = folder / "check.tar"
    project.succeed("create_backup", "--no-encrypt", "--output", target)
    return unpack(target, folder / "check", identities=(), progress=ignore)


@pytest.mark.parametrize("name", PIPES)
def test_a_package_is_recovered_without_this_project(
    make_project: MakeProject, tmp_path: Path, name: str
) -> None:
    """Invariant 8. Members go to a fresh, migrated database, where keys are others."""
    pipe, programs = PIPES[name]
    need(*programs)
    identity, recipient = generate_identity()
    (tmp_path / "identity").write_text(identity + "\n")
    lost = make_project("sqlite", demo=True, variables={"BACKUP_RECIPIENTS": recipient})
    encrypted = "--encrypt" if name.endswith(".age") else "--no-encrypt"
    lost.succeed("create_backup", encrypted, "--output", tmp_path / name)
    (tmp_path / "out").mkdir()

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", pipe], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = make_project("sqlite" if name == "x.tar.gz" else "postgres")
    members = sorted((tmp_path / "out" / "database").glob("*.jsonl"))
    found.succeed("loaddata", *members)
    shutil.copytree(tmp_path / "out" / "files" / "default", found.media, dirs_exist_ok=True)

    before, after = manifest_of(lost, tmp_path / "before"), manifest_of(found, tmp_path / "after")
    figures = {entry.label: (entry.count, entry.digest) for entry in before.models}
    assert {entry.label: (entry.count, entry.digest) for entry in after.models} == figures
    assert figures["documents.document"][0] == 5
    assert files(found) == files(lost)
    assert after.files == before.files
