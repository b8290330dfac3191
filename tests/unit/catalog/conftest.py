"""Stores in folders, and packages to put into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from backup_tasks.package.sidecar import Sidecar
from backup_tasks.storage.folder import publish_to_path
from tests.unit.package.content import make_content

NAME = "edms-20261122T223355Z-nightly-1a2b3c4d.tar.zst"


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Two stores, `first` and `second`."""

    folder: Path

    def put(
        self, *, into: str = "first", name: str = NAME, key: str | None = None, **changed: Any
    ) -> Sidecar:
        """Put a package there whose manifest has these values; signed, where a key is given."""
        work = self.folder / "work" / f"{into}-{name}"
        work.mkdir(parents=True)
        content = make_content(work / "handover", files={"a": b"a"})
        content = replace(content, manifest=replace(content.manifest, **changed))
        written = content.write(work / name)
        sidecar = content.sidecar(name, written)
        if key:
            sidecar = sidecar.signed(key)
        (self.folder / into).mkdir(exist_ok=True)
        publish_to_path(work / name, self.folder / into / name, sidecar)
        return sidecar

    def spoil(self, name: str, content: bytes = b"{}", into: str = "first") -> None:
        """Put an odd sidecar there."""
        (self.folder / into).mkdir(exist_ok=True)
        (self.folder / into / name).write_bytes(content)


@pytest.fixture
def shelf(settings: Settings, tmp_path: Path) -> Shelf:
    """Two stores in folders, both of the project `edms`."""
    backend = "django.core.files.storage.FileSystemStorage"
    aliases = ["first", "second"]
    settings.STORAGES = {
        **settings.STORAGES,
        **{
            alias: {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path / alias)}}
            for alias in aliases
        },
    }
    settings.BACKUP = {**settings.BACKUP, "PROJECT": "edms", "STORES": aliases}
    return Shelf(folder=tmp_path)


@pytest.fixture
def configure(settings: Settings) -> Callable[..., None]:
    """Call it with settings of `BACKUP`."""

    def put(**changed: Any) -> None:
        settings.BACKUP = {**settings.BACKUP, **changed}

    return put
