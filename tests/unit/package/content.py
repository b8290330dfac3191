"""What the tests of the package put into one: rows, files, and the manifest about them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backup_tasks.package.compression import Compression
from backup_tasks.package.entries import Exclusion, FieldEntry, ModelEntry
from backup_tasks.package.index import FileEntry, write_index
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import row_member
from backup_tasks.package.reader import unpack
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.streams import Written
from backup_tasks.package.writer import write_package

PACKAGE = "edms-20261122T223355Z-nightly-1a2b3c4d.tar.zst"
ROWS = {
    "users.user": b'{"model":"users.user","fields":{"username":"ada"}}\n' * 3,
    "documents.document": b'{"model":"documents.document","fields":{"title":"Caf\xc3\xa9"}}\n' * 5,
}
FILES = {
    "2026/sop.pdf": b"%PDF " + bytes(range(256)) * 9,
    "empty.txt": b"",
    "ünïcode/" + "long" * 60 + ".txt": b"x" * 512,
    "\udcff\udcfe undecodable": b"bytes of a name that is no UTF-8",
}


def ignore(size: int) -> None:
    """A progress that nobody watches."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """Everything `write_package` takes."""

    manifest: Manifest
    rows: Path
    index: Path | None
    open_file: Callable[[str, str], BinaryIO]

    def write(
        self,
        target: Path,
        *,
        compression: Compression = "zstd",
        recipients: Sequence[str] = (),
        progress: Callable[[int], None] = ignore,
    ) -> Written:
        return write_package(
            target,
            manifest=self.manifest,
            rows=self.rows,
            index=self.index,
            open_file=self.open_file,
            compression=compression,
            recipients=recipients,
            progress=progress,
        )

    def sidecar(self, name: str, written: Written, recipients: Sequence[str] = ()) -> Sidecar:
        return Sidecar.of(
            self.manifest,
            name=name,
            written=written,
            compression="zstd",
            recipients=recipients,
        )


def model_entry(number: int, label: str, lines: bytes) -> ModelEntry:
    """Describe the rows of a model truthfully."""
    return ModelEntry(
        label=label,
        table=label.replace(".", "_"),
        count=lines.count(b"\n"),
        digest="0" * 64,
        exact="1" * 64,
        member=row_member(number, label),
        size=len(lines),
        sha256=hashlib.sha256(lines).hexdigest(),
        natural_key=("username",),
        identity="natural",
        fields=(
            FieldEntry(name="manager", column="manager_id", type="ForeignKey", relation=label),
        ),
        dangling={"manager": 1},
    )


def manifest_of(models: Sequence[ModelEntry]) -> Manifest:
    """Return a manifest without files."""
    return Manifest(
        id="1a2b3c4d5e6f7081",
        label="nightly",
        type="full",
        created_at="2026-11-22T22:33:55.123456+00:00",
        host="host",
        project="edms",
        versions={"python": "3.11", "django": "5.2"},
        database={"vendor": "sqlite", "version": "3.45", "isolation": "one read transaction"},
        migrations=(("users", "0001_initial"),),
        models=tuple(models),
        excluded=(Exclusion(label="sessions.session", reason="control table"),),
        files=None,
        warnings=("documents.document: 1 row points nowhere",),
    )


def make_content(
    folder: Path,
    *,
    rows: Mapping[str, bytes] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Content:
    """Write rows and index below `folder`; files stay in memory."""
    rows = ROWS if rows is None else rows
    files = FILES if files is None else files
    (folder / "database").mkdir(parents=True)
    models = []
    for number, (label, lines) in enumerate(rows.items(), start=1):
        models.append(model_entry(number, label, lines))
        (folder / row_member(number, label)).write_bytes(lines)
    manifest = manifest_of(models)
    index = folder / "files.jsonl"
    entries = (
        FileEntry(
            storage="default",
            name=name,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        for name, data in files.items()
    )
    listed = write_index(entries, index)
    values = {field: getattr(manifest, field) for field in Manifest.__dataclass_fields__}
    return Content(
        manifest=Manifest(**values | {"files": listed}),
        rows=folder,
        index=index,
        open_file=lambda storage, name: io.BytesIO(files[name]),
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder: relative path → bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def unpacked(package: Path, into: Path, identities: Sequence[str] = ()) -> dict[str, bytes]:
    """Unpack a package and return what came out."""
    unpack(package, into, identities=identities, progress=ignore)
    return tree(into)
