"""Packages that no backup would make: consistent in every sum, and yet not what they claim."""

import hashlib
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backup_tasks.package.entries import ModelEntry
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.reader import unpack

Row = dict[str, Any]


def ignore(size: int) -> None:
    """A progress that nobody watches."""


@dataclass
class Craft:
    """A package taken apart. Change `manifest` and the rows, then `write`."""

    folder: Path
    manifest: Manifest

    @classmethod
    def of(cls, package: Path, folder: Path) -> "Craft":
        return cls(folder, unpack(package, folder, identities=(), progress=ignore))

    def entry(self, label: str) -> ModelEntry:
        return next(entry for entry in self.manifest.models if entry.label == label)

    def put(self, changed: ModelEntry) -> None:
        """Let the manifest have this entry for the model."""
        models = tuple(
            changed if entry.label == changed.label else entry for entry in self.manifest.models
        )
        self.manifest = replace(self.manifest, models=models)

    def rows(self, label: str) -> list[Row]:
        member = self.entry(label).member
        if member is None:
            return []
        return [json.loads(line) for line in (self.folder / member).read_text().splitlines()]

    def change(self, label: str, edit: Callable[[list[Row]], list[Row]]) -> None:
        """Edit a model's rows; the member's size, SHA-256 and count follow, the digests don't."""
        entry = self.entry(label)
        assert entry.member is not None
        rows = edit(self.rows(label))
        lines = b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)
        (self.folder / entry.member).write_bytes(lines)
        sha256 = hashlib.sha256(lines).hexdigest()
        self.put(replace(entry, count=len(rows), size=len(lines), sha256=sha256))

    def claim(self, label: str, **values: Any) -> None:
        """Let the manifest say something else of the model."""
        self.put(replace(self.entry(label), **values))

    def write(self, target: Path) -> Path:
        """Write it as a package, without a sidecar: by Python's tarfile, which checks nothing."""
        (self.folder / "manifest.json").write_bytes(self.manifest.to_json())
        members = ["manifest.json"]
        files: list[Row] = []
        if self.manifest.files:
            members.append("files.jsonl")
            listed = (self.folder / "files.jsonl").read_text().splitlines()
            files = [json.loads(line) for line in listed]
        members += [entry.member for entry in self.manifest.models if entry.member]
        members += [f"files/{file['storage']}/{file['name']}" for file in files]
        mode: Literal["w:gz", "w:"] = "w:gz" if target.suffix == ".gz" else "w:"
        with tarfile.open(target, mode, format=tarfile.PAX_FORMAT) as archive:
            for member in members:
                archive.add(self.folder / member, member)
        return target
