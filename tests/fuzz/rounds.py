"""The rounds: a package that is read, a sidecar that is read, a store that is listed and used."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import zstandard
from django.conf import settings

from backup_tasks.errors import BackupError
from backup_tasks.management.commands.list_packages import _record, _text
from backup_tasks.management.standing import last_record, standing_lines, standing_record
from backup_tasks.package.cipher import encrypt_stream, generate_identity
from backup_tasks.package.manifest import Manifest, _sha256
from backup_tasks.package.reader import check, unpack
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.signature import generate_key
from backup_tasks.restore import open_package
from backup_tasks.storage import catalogue, last_good
from backup_tasks.storage.folder import publish_to_path
from tests.fuzz import drawing
from tests.unit.package.content import ignore, make_content
from tests.unit.package.test_hostile import Members, info, members_of


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all rounds start from."""

    folder: Path
    members: Members
    """Of a good package."""

    good: Path
    sidecar: Sidecar
    identity: str
    recipient: str
    secret: str
    """Signing key of whom is trusted, in the rounds where somebody is."""

    public: str

    @property
    def store(self) -> Path:
        return self.folder / "store"


def bench_in(folder: Path) -> Bench:
    """Make the good package."""
    content = make_content(folder / "handover")
    content.write(folder / "plain.tar", compression="none")
    written = content.write(folder / "good.tar.zst")
    identity, recipient = generate_identity()
    secret, public = generate_key()
    return Bench(
        folder=folder,
        members=members_of(folder / "plain.tar"),
        good=folder / "good.tar.zst",
        sidecar=content.sidecar("good.tar.zst", written),
        identity=identity,
        recipient=recipient,
        secret=secret,
        public=public,
    )


def odd_package(draw: Random, bench: Bench) -> bytes:
    """A package in which something is odd: in its manifest, its list of files, its members, its
    archive, its compression, its encryption, or in several of them."""
    members = list(bench.members)
    if draw.random() < 0.5:
        members[0] = _odd_manifest(draw, members[0][1])
    if draw.random() < 0.3:
        lines = members[1][1].splitlines()
        place = draw.randrange(len(lines))
        lines[place] = drawing.written(draw, drawing.changed(draw, json.loads(lines[place])))
        members[1] = (info("files.jsonl", sum(map(len, lines)) + len(lines)), b"")
        members[1] = (members[1][0], b"\n".join(lines) + b"\n")
    if draw.random() < 0.2:
        place = draw.randrange(len(members))
        name = drawing.text(draw).encode("utf-8", "replace").decode()
        kind = draw.choice(sorted(tarfile.SUPPORTED_TYPES))
        members[place] = (info(name[:5000], 0, kind, "/etc/passwd"), b"")
    archive = _archive(members)
    if draw.random() < 0.3:
        archive = drawing.damaged(draw, archive)
    packed = draw.choice([_zstd(archive), _gzip(archive), archive])
    if draw.random() < 0.2:
        packed = drawing.damaged(draw, packed)
    if draw.random() < 0.2:
        sealed = io.BytesIO()
        encrypt_stream(io.BytesIO(packed), sealed, [bench.recipient])
        packed = sealed.getvalue()
        if draw.random() < 0.5:
            packed = drawing.damaged(draw, packed)
    return packed


def _odd_manifest(draw: Random, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """With the SHA-256 that it should have: its oddity is to be found, not the sum."""
    whole = json.loads(content)
    del whole["sha256"]
    whole = drawing.changed(draw, whole)
    if isinstance(whole, dict) and draw.random() < 0.9:
        whole["sha256"] = _sha256(whole)
    found = drawing.written(draw, whole) + b" " * draw.choice([0, 0, 0, 3 << 20])
    return info("manifest.json", len(found)), found


def _archive(members: Members) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(
        fileobj=archive, mode="w", format=tarfile.PAX_FORMAT, errors="surrogatepass"
    ) as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def _zstd(content: bytes) -> bytes:
    return zstandard.compress(content)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 1)


def read_a_package(draw: Random, bench: Bench) -> None:
    """It is checked and unpacked; both say the same of it."""
    package = bench.folder / "package"
    package.write_bytes(odd_package(draw, bench))
    keys = [bench.identity]
    outcomes = []
    readers: list[Callable[[], Manifest]] = [
        lambda: check(package, identities=keys, scratch=bench.folder, progress=ignore),
        lambda: unpack(package, bench.folder / "into", identities=keys, progress=ignore),
    ]
    for read in readers:
        try:
            outcomes.append(read().id)
        except BackupError as error:
            _must_be_told(error)
            outcomes.append(type(error).__name__)
    shutil.rmtree(bench.folder / "into", ignore_errors=True)
    assert outcomes[0] == outcomes[1]


def read_a_sidecar(draw: Random, bench: Bench) -> None:
    """It is read, or refused in words that can be shown."""
    values = json.loads(bench.sidecar.to_json())
    for _ in range(draw.choice([1, 1, 2])):
        values = drawing.changed(draw, values)
    try:
        Sidecar.from_json(drawing.written(draw, values), bench.sidecar.file_name)
    except BackupError as error:
        _must_be_told(error)


def use_a_store(draw: Random, bench: Bench) -> None:
    """Three good packages stay listed and found, whatever lies beside them."""
    shutil.rmtree(bench.store, ignore_errors=True)
    bench.store.mkdir()
    trusting = draw.random() < 0.5
    settings.BACKUP = {**settings.BACKUP, "TRUSTED_KEYS": [bench.public] if trusting else []}
    good = [_publish(bench, number) for number in range(3)]
    _spoil(draw, bench, {sidecar.file_name for sidecar in good})

    contents = catalogue.read()
    names = {package.sidecar.name for package in contents.found}
    assert {sidecar.name for sidecar in good} <= names, contents.unread
    assert all(package.trusted for package in contents.found if package.sidecar in good) or (
        not trusting
    )
    candidates = last_good.known_to_stores(contents.found)
    records = [_record(each) | {"standing": ""} for each in contents.found]
    _text(contents, records, [*standing_lines(candidates, str, ())], []).encode()
    told = [*records, *map(standing_record, candidates), last_record(candidates, ())]
    json.dumps(told, ensure_ascii=False, default=str).encode()
    assert all(str(odd.error).isprintable() for odd in contents.broken)
    for sidecar in good:
        assert catalogue.find(sidecar.name)[1] == sidecar
    # Which package is the newest, the ledger is asked.
    for name in [drawing.text(draw) or "x", *(found.sidecar.id for found in contents.found[:2])]:
        _try(lambda name=name: _restore(bench, name))  # type: ignore[misc]  # bound at once
    _try(lambda: _restore(bench, draw.choice(sorted(names))))


def _publish(bench: Bench, number: int) -> Sidecar:
    name = f"good-{number}.tar.zst"
    sidecar = replace(bench.sidecar, name=name).signed(bench.secret)
    publish_to_path(bench.good, bench.store / name, sidecar)
    return sidecar


def _spoil(draw: Random, bench: Bench, taken: set[str]) -> None:
    """Put odd files beside them, under names that are not taken."""
    taken = taken | {name.replace(".json", ".tar.zst") for name in taken}
    for number in range(draw.randrange(1, 12)):
        name = drawing.file_name(draw)
        stem = f"odd-{number}"
        if draw.random() < 0.6:
            name = f"{stem}.json".encode()
        path = Path(os.fsdecode(bytes(bench.store) + b"/" + name))
        if path.name in taken or os.path.lexists(path):
            continue
        _kinds(draw)(draw, bench, path, stem)


def _kinds(draw: Random) -> Callable[[Random, Bench, Path, str], None]:
    kinds: Mapping[Callable[[Random, Bench, Path, str], None], int] = {
        _odd_sidecar: 8,
        _odd_pair: 8,
        _pipe: 1,
        _link: 1,
        _folder: 1,
        _denied: 1,
    }
    return draw.choices(list(kinds), list(kinds.values()))[0]


def _odd_sidecar(draw: Random, bench: Bench, path: Path, stem: str) -> None:
    values = json.loads(replace(bench.sidecar, name=f"{stem}.tar.zst").to_json())
    path.write_bytes(drawing.written(draw, drawing.changed(draw, values)))


def _odd_pair(draw: Random, bench: Bench, path: Path, stem: str) -> None:
    """A package that is odd within, and a sidecar that fits it, but for one thing perhaps."""
    content = odd_package(draw, bench)
    (bench.store / f"{stem}.tar.zst").write_bytes(content)
    values: Any = json.loads(bench.sidecar.to_json()) | {
        "name": f"{stem}.tar.zst",
        "id": draw.choice([bench.sidecar.id, draw.randbytes(8).hex()]),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "created_at": draw.choice(["2999-01-01T00:00:00+00:00", bench.sidecar.created_at]),
        "signature": draw.choice([None, "é" * 88, "A" * 88]),
    }
    if draw.random() < 0.3:
        values = drawing.changed(draw, values)
    (bench.store / f"{stem}.json").write_bytes(drawing.written(draw, values))


def _pipe(draw: Random, bench: Bench, path: Path, stem: str) -> None:
    os.mkfifo(path)


def _link(draw: Random, bench: Bench, path: Path, stem: str) -> None:
    path.symlink_to(draw.choice(["/dev/zero", "nowhere", path.name, "/etc/passwd", "."]))


def _folder(draw: Random, bench: Bench, path: Path, stem: str) -> None:
    path.mkdir()


def _denied(draw: Random, bench: Bench, path: Path, stem: str) -> None:
    path.write_bytes(b"{}")
    path.chmod(0)


def _restore(bench: Bench, name: str) -> None:
    """As far as a restore goes before the database is asked for anything."""
    here = bench.folder / "here"
    shutil.rmtree(here, ignore_errors=True)
    opened = open_package.fetch(name, here, params={"identity": str(bench.folder / "identity")})
    open_package.check_contents(
        opened, here, {"identity": str(bench.folder / "identity")}, lambda *_: None
    )


def _try(attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except BackupError as error:
        _must_be_told(error)


def _must_be_told(error: BackupError) -> None:
    """An error names something, and can be shown."""
    assert error.obj, repr(error)
    assert str(error).isprintable(), repr(error)
    assert len(str(error)) < 2000, repr(error)[:2000]


ROUNDS: Mapping[Callable[[Random, Bench], None], int] = {
    read_a_package: 6,
    read_a_sidecar: 12,
    use_a_store: 2,
}
