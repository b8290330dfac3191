"""Invariant 8: a package is recovered without this project."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_tasks.package.compression import Compression

from .content import FILES, ROWS, Content, tree

COMPRESSED = {"zstd": "zstd -d", "gzip": "gzip -d", "none": "cat"}


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
@pytest.mark.parametrize("encrypted", [True, False])
def test_age_zstd_and_tar_recover_a_package(
    content: Content,
    key: tuple[str, str],
    program: Callable[[str], str],
    tmp_path: Path,
    compression: Compression,
    encrypted: bool,
) -> None:
    tools = ["tar", *(["age"] if encrypted else []), COMPRESSED[compression].split()[0]]
    for tool in tools:
        program(tool)
    identity, recipient = key
    (tmp_path / "identity").write_text(identity + "\n")
    content.write(
        tmp_path / "package",
        compression=compression,
        recipients=[recipient] if encrypted else [],
    )
    decrypt = "age -d -i identity package" if encrypted else "cat package"
    (tmp_path / "out").mkdir()

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{decrypt} | {COMPRESSED[compression]} | tar x -C out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    # GNU tar restores names that are no UTF-8, though it does not know the key that marks them.
    complaints = [line for line in done.stderr.splitlines() if "hdrcharset" not in line]
    assert complaints == []
    found = tree(tmp_path / "out")
    assert found["manifest.json"] == content.manifest.to_json()
    assert {path: data for path, data in found.items() if path.startswith("database/")} == {
        f"database/00{n}-{label}.jsonl": ROWS[label] for n, label in enumerate(ROWS, start=1)
    }
    assert {path: data for path, data in found.items() if path.startswith("files/")} == {
        f"files/default/{name}": data for name, data in FILES.items()
    }
