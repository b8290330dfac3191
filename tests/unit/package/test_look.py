"""A look into a package reads one pass of it, and no more than was announced."""

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backup_tasks.errors import PackageDamaged
from backup_tasks.package import look
from backup_tasks.package.look import Look, look_into

from .content import FILES, ROWS, Content, make_content
from .test_hostile import forge, info, members_of


@contextmanager
def opened(path: Path, *identities: str) -> Iterator[Look]:
    with look_into(path, identities=identities, scratch=path.parent) as found:
        yield found


def test_rows_and_files_are_those_that_were_packed(
    content: Content, package: Path, key: tuple[str, str]
) -> None:
    identity, recipient = key
    content.write(package, recipients=[recipient])
    with opened(package, identity) as found:
        assert {entry.name for entry in found.files()} == set(FILES)
        for entry in found.manifest.models:
            lines = [*found.lines(entry)]
            assert b"\n".join(filter(None, lines)) + b"\n" == ROWS[entry.label]
    for name, data in FILES.items():
        with opened(package, identity) as found:
            file = next(each for each in found.files() if each.name == name)
            assert b"".join(found.content(file)) == data


def test_a_row_that_is_too_long_is_passed_over(
    tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "LINE_LIMIT", 100)
    lines = b'{"short":1}\n' + json.dumps({"long": "x" * 1000}).encode() + b'\n{"short":2}\n'
    make_content(tmp_path / "long", rows={"users.user": lines}, files={}).write(package)
    with opened(package) as found:
        short = [b'{"short":1}', None, b'{"short":2}']
        assert [*found.lines(found.manifest.models[0])] == short


def test_a_file_that_has_another_sha256_is_never_given_whole(
    content: Content, package: Path
) -> None:
    content.write(package, compression="none")
    members = members_of(package)
    at = next(n for n, (member, _) in enumerate(members) if member.name.endswith("sop.pdf"))
    member, data = members[at]
    members[at] = (member, bytes(len(data)))
    with opened(forge(members, package)) as found:
        entry = next(each for each in found.files() if each.name.endswith("sop.pdf"))
        with pytest.raises(PackageDamaged, match="SHA-256"):
            b"".join(found.content(entry))


def test_no_more_is_unfolded_than_the_manifest_announced(content: Content, package: Path) -> None:
    """A few kilobytes that unfold to gigabytes before the member that is wanted."""
    content.write(package, compression="none")
    members = members_of(package)
    bomb = (info("files/default/bomb", 20 << 20), bytes(20 << 20))
    forge([*members[:2], bomb, *members[2:]], package)
    with opened(package) as found:
        read: list[int] = []
        archive = found._archive
        plain = archive.content

        def watched(member: object) -> Iterator[bytes]:
            for chunk in plain(member):  # type: ignore[arg-type]
                read.append(len(chunk))
                yield chunk

        archive.content = watched  # type: ignore[method-assign]
        with pytest.raises(PackageDamaged, match="more than its manifest announced"):
            [*found.lines(found.manifest.models[-1])]
        assert sum(read) < 1 << 20


def test_memory_does_not_depend_on_how_many_rows_there_are(tmp_path: Path) -> None:
    peaks = []
    for rows in (1_000, 50_000):
        package = tmp_path / str(rows)
        lines = b"".join(
            b'{"fields":{"n":%d,"text":"%s"}}\n' % (n, b"x" * 200) for n in range(rows)
        )
        make_content(tmp_path / f"of-{rows}", rows={"users.user": lines}, files={}).write(package)
        tracemalloc.start()
        with opened(package) as found:
            assert sum(1 for _ in found.lines(found.manifest.models[0])) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (4 << 20)
