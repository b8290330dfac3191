"""F13: a package comes from outside; nothing it says is done because it says so."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from backup_tasks.errors import PackageDamaged
from backup_tasks.package.reader import unpack

from .content import ROWS, Content, ignore, manifest_of, model_entry, tree

Members = list[tuple[tarfile.TarInfo, bytes]]


def info(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member


def members_of(package: Path) -> Members:
    """Return the members of an uncompressed package, read by the standard library."""
    with tarfile.open(package, encoding="utf-8", errors="surrogateescape") as archive:
        members = []
        for member in archive:
            data = archive.extractfile(member)
            assert data is not None
            members.append((info(member.name, member.size), data.read()))
        return members


def forge(members: Members, target: Path) -> Path:
    """Write a package of these members, as an attacker would."""
    archive = io.BytesIO()
    with tarfile.open(
        fileobj=archive, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
    ) as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    target.write_bytes(zstandard.compress(archive.getvalue()))
    return target


def add_link(members: Members) -> Members:
    return [*members, (info("files/default/passwd", 0, tarfile.SYMTYPE, "/etc/passwd"), b"")]


def link_instead(members: Members) -> Members:
    return [*members[:-1], (info(members[-1][0].name, 0, tarfile.SYMTYPE, "/etc/passwd"), b"")]


def hard_link_instead(members: Members) -> Members:
    return [*members[:-1], (info(members[-1][0].name, 0, tarfile.LNKTYPE, "manifest.json"), b"")]


def device_instead(members: Members) -> Members:
    return [*members[:-1], (info(members[-1][0].name, 0, tarfile.CHRTYPE), b"")]


def folder_between(members: Members) -> Members:
    return [members[0], (info("files", 0, tarfile.DIRTYPE), b""), *members[1:]]


def climbing(members: Members) -> Members:
    return [*members, (info("../escaped", 4), b"evil")]


def climbing_instead(members: Members) -> Members:
    member, data = members[-1]
    return [*members[:-1], (info("files/default/../../../escaped", member.size), data)]


def absolute(members: Members) -> Members:
    return [*members, (info("/tmp/escaped", 4), b"evil")]


def twice(members: Members) -> Members:
    return [*members, members[-1]]


def extra(members: Members) -> Members:
    return [*members, (info("files/default/extra", 5), b"extra")]


def missing_file(members: Members) -> Members:
    return members[:-1]


def swapped(members: Members) -> Members:
    return [*members[:-2], members[-1], members[-2]]


def no_manifest(members: Members) -> Members:
    return members[1:]


def manifest_last(members: Members) -> Members:
    return [*members[1:], members[0]]


def other_content(members: Members) -> Members:
    member, data = members[-1]
    return [*members[:-1], (member, bytes(byte ^ 1 for byte in data))]


def longer(members: Members) -> Members:
    member, data = members[-1]
    return [*members[:-1], (info(member.name, member.size + 1), data + b"!")]


def shorter(members: Members) -> Members:
    member, data = members[-1]
    return [*members[:-1], (info(member.name, member.size - 1), data[:-1])]


def nothing(members: Members) -> Members:
    return []


@pytest.mark.parametrize(
    "change",
    [
        add_link,
        link_instead,
        hard_link_instead,
        device_instead,
        folder_between,
        climbing,
        climbing_instead,
        absolute,
        twice,
        extra,
        missing_file,
        swapped,
        no_manifest,
        manifest_last,
        other_content,
        longer,
        shorter,
        nothing,
    ],
)
def test_a_package_of_other_members_than_announced_is_refused(
    content: Content, tmp_path: Path, change: Callable[[Members], Members]
) -> None:
    content.write(tmp_path / "good", compression="none")
    package = forge(change(members_of(tmp_path / "good")), tmp_path / "forged")
    before = tree(tmp_path)

    with pytest.raises(PackageDamaged):
        unpack(package, tmp_path / "into", identities=[], progress=ignore)

    assert tree(tmp_path) == before


def test_the_forger_of_these_tests_can_also_write_a_good_package(
    content: Content, tmp_path: Path
) -> None:
    content.write(tmp_path / "good", compression="none")
    package = forge(members_of(tmp_path / "good"), tmp_path / "forged")

    found = unpack(package, tmp_path / "into", identities=[], progress=ignore)

    assert found == content.manifest


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (ROWS["documents.document"].split(b"\n", 1)[1], "holds 4"),
        (ROWS["documents.document"] + b"{}\n", "holds 6"),
        (b"", "holds 0"),
        (None, "holds none"),
    ],
)
def test_a_model_with_other_rows_than_announced_is_named_with_both_figures(
    tmp_path: Path, lines: bytes | None, says: str
) -> None:
    """S5, P3."""
    model = model_entry(1, "documents.document", ROWS["documents.document"])
    manifest = manifest_of([model]).to_json()
    members = [(info("manifest.json", len(manifest)), manifest)]
    if lines is not None:
        members.append((info(str(model.member), len(lines)), lines))
    package = forge(members, tmp_path / "forged")

    with pytest.raises(PackageDamaged) as caught:
        unpack(package, tmp_path / "into", identities=[], progress=ignore)

    assert str(caught.value).startswith(
        f"documents.document: the manifest says 5 rows, the package {says}"
    )


@pytest.mark.parametrize(
    "member",
    [
        "../../escaped",
        "/tmp/escaped",
        "database/001-users.user.jsonl",
        "database/../001-documents.document.jsonl",
        "manifest.json",
        "files/default/documents.document.jsonl",
    ],
)
def test_a_manifest_that_puts_rows_elsewhere_is_refused(tmp_path: Path, member: str) -> None:
    lines = ROWS["documents.document"]
    model = replace(model_entry(1, "documents.document", lines), member=member)
    manifest = manifest_of([model]).to_json()
    members = [(info("manifest.json", len(manifest)), manifest), (info(member, len(lines)), lines)]
    package = forge(members, tmp_path / "forged")

    with pytest.raises(PackageDamaged) as caught:
        unpack(package, tmp_path / "into", identities=[], progress=ignore)

    assert "member" in str(caught.value)
    assert tree(tmp_path / "into") == {}


def test_a_bomb_does_not_unfold(tmp_path: Path) -> None:
    """A few kilobytes that unfold to gigabytes neither fill the disk nor the memory."""
    manifest = manifest_of([]).to_json()
    head = io.BytesIO()
    with tarfile.open(fileobj=head, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info("manifest.json", len(manifest)), io.BytesIO(manifest))
        start = head.tell()
    bomb = head.getvalue()[:start] + info("files.jsonl", 1 << 32).tobuf(tarfile.PAX_FORMAT)
    encoder = zstandard.ZstdCompressor(level=3).compressobj()
    package = tmp_path / "bomb"
    with package.open("wb") as file:
        file.write(encoder.compress(bomb))
        for _ in range(512):
            file.write(encoder.compress(bytes(1 << 21)))
        file.write(encoder.flush())
    assert package.stat().st_size < 200_000

    tracemalloc.start()
    with pytest.raises(PackageDamaged) as caught:
        unpack(package, tmp_path / "into", identities=[], progress=ignore)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert "files.jsonl is in the package, not in its manifest" in str(caught.value)
    assert peak < 128 << 20
    assert tree(tmp_path / "into") == {}


def test_a_manifest_too_large_to_read_is_refused_unread(tmp_path: Path) -> None:
    huge = info("manifest.json", (64 << 20) + 1).tobuf(tarfile.PAX_FORMAT)
    (tmp_path / "package").write_bytes(huge + bytes(1 << 20))

    with pytest.raises(PackageDamaged, match="more than"):
        unpack(tmp_path / "package", tmp_path / "into", identities=[], progress=ignore)


def pax(records: bytes, size: int | None = None) -> bytes:
    """Return an extended header of these records, then a plain one."""
    extended = info("x", len(records) if size is None else size, tarfile.XHDTYPE)
    padding = bytes(-len(records) % 512)
    plain = info("manifest.json", 4).tobuf(tarfile.USTAR_FORMAT)
    return extended.tobuf(tarfile.USTAR_FORMAT) + records + padding + plain + b"null" + bytes(508)


@pytest.mark.parametrize(
    "archive",
    [
        pax(b"18 linkpath=/tmp/x\n"),
        pax(b"22 GNU.sparse.size=10\n"),
        pax(b"11 size=-1\n\n"),
        pax(b"9 size=x\n"),
        pax(b"99 path=a\n"),
        pax(b"0 path=a\n"),
        pax(b"path=a\n"),
        pax(b"10 path=a"),
        pax(b"", size=1 << 32),
        pax(b"23 path=" + b"../" * 4 + b"x.j\n"),
        info("manifest.json", 4, b"L").tobuf(tarfile.GNU_FORMAT),
        info("manifest.json", 4, b"S").tobuf(tarfile.GNU_FORMAT),
        info("manifest.json", 4, b"g").tobuf(tarfile.GNU_FORMAT),
        bytes(10240),
    ],
)
def test_a_header_that_this_project_does_not_write_is_refused(
    tmp_path: Path, archive: bytes
) -> None:
    (tmp_path / "package").write_bytes(zstandard.compress(archive + bytes(10240)))

    with pytest.raises(PackageDamaged):
        unpack(tmp_path / "package", tmp_path / "into", identities=[], progress=ignore)

    assert tree(tmp_path / "into") == {}
