"""Fixtures of the package's tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_tasks.package.cipher import generate_identity

from .content import Content, make_content


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
