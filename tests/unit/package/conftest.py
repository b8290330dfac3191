"""Fixtures of the package's tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage

from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.storage.store import Store

from .content import PACKAGE, Content, make_content


@pytest.fixture
def content(tmp_path: Path) -> Content:
    """Two models of 3 and 5 rows, and four files with awkward names."""
    return make_content(tmp_path / "handover")


@pytest.fixture(scope="session")
def key() -> tuple[str, str]:
    """An age key: (identity, recipient)."""
    return generate_identity()


@pytest.fixture
def program() -> Callable[[str], str]:
    """Call it for the path of a program; without it, the test is skipped, and fails in CI."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None and os.environ.get("CI"):
            pytest.fail(f"{name} is not on PATH")
        if path is None:
            pytest.skip(f"{name} is not on PATH")
        return path

    return find


@pytest.fixture(params=["folder", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """A local folder, and a storage that only has Django's interface."""
    if request.param == "folder":
        return FileSystemStorage(location=tmp_path / "store")
    return InMemoryStorage()


@pytest.fixture
def store(storage: Storage) -> Store:
    return Store(storage, alias="backups")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return tmp_path / "package"


@pytest.fixture
def sidecar(content: Content, package: Path) -> Sidecar:
    return content.sidecar(PACKAGE, content.write(package))
