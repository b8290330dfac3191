"""The tar layer: regular files only, POSIX (pax) headers, written and read as a stream.

Any tar program unpacks what this writes. The reading half is not a general tar reader, on purpose:
the standard library's takes garbage behind the first member for the end of the archive, and holds
whatever size of extended header it is told to in memory. This one reads what the writing half
writes, and calls everything else damage.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backup_tasks.package.damage import damaged
from backup_tasks.package.streams import CHUNK, Reader

BLOCK = 512
END = bytes(2 * BLOCK)
"""Two blocks of zeros follow the last member."""

_ENCODING, _ERRORS = "utf-8", "surrogateescape"
_EXTENDED_LIMIT = 1 << 20
_LENGTH_DIGITS = 8
_EXTENDED_KEYS = {b"path", b"size", b"hdrcharset"} | {
    # Owners and times, as other programs write them. They are read over.
    *(b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment"),
}
_PADDING_LIMIT = 1 << 20
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
}


def packed(
    name: str, size: int, content: Iterable[bytes], *, mtime: int, mode: int = 0o600
) -> Iterator[bytes]:
    """Yield a member: header, content, padding. `content` must be exactly `size` bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, mtime, mode
    yield info.tobuf(tarfile.PAX_FORMAT, _ENCODING, _ERRORS)
    yield from content
    yield bytes(-size % BLOCK)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member's header."""

    name: str
    size: int
    """Bytes of content."""


class TarStream:
    """Read an archive from its start: a member's header, then all of its content, then the next.

    Methods raise PackageDamaged, and whatever the stream below raises.
    """

    def __init__(self, stream: Reader) -> None:
        self._stream = stream
        self._last = "the start of the archive"

    def next(self) -> Member | None:
        """Return the next member, or None at the end. Only padding may follow the end."""
        block = self._block()
        if block == bytes(BLOCK):
            self._expect_end()
            return None
        extended: dict[str, str] = {}
        if block[156:157] == tarfile.XHDTYPE:
            extended = self._extended(self._header(block).size)
            block = self._block()
        info = self._header(block)
        member = Member(
            name=extended.get("path", info.name), size=self._size(extended.get("size"), info.size)
        )
        if info.type != tarfile.REGTYPE:
            kind = _KINDS.get(info.type, f"of the unknown type {info.type!r}")
            raise damaged(f"{member.name} is {kind}; a package holds files only", obj=member.name)
        self._last = member.name
        return member

    def content(self, member: Member) -> Iterator[bytes]:
        """Yield the content of the member that `next` just returned. It must be read to its end."""
        left = member.size
        while left:
            chunk = self._stream.read(min(left, CHUNK))
            if not chunk:
                raise damaged(f"the archive ends within {member.name}", obj=member.name)
            left -= len(chunk)
            yield chunk
        padding = -member.size % BLOCK
        if self._stream.read(padding) != bytes(padding):
            raise damaged(f"the padding behind {member.name} is damaged", obj=member.name)

    def _block(self) -> bytes:
        block = self._stream.read(BLOCK)
        if len(block) != BLOCK:
            raise damaged(f"the archive ends after {self._last}, without its end mark")
        return block

    def _header(self, block: bytes) -> tarfile.TarInfo:
        try:
            info = tarfile.TarInfo.frombuf(block, _ENCODING, _ERRORS)
        except tarfile.HeaderError as error:
            raise damaged(f"the tar header after {self._last} is damaged ({error})") from error
        self._size(None, info.size)
        return info

    def _size(self, extended: str | None, plain: int) -> int:
        if extended is None:
            size = plain
        else:
            size = int(extended) if extended.isdecimal() and len(extended) < 20 else -1
        if size < 0:
            raise damaged(f"the size in the tar header after {self._last} is damaged")
        return size

    def _extended(self, size: int) -> dict[str, str]:
        """Read a pax header: records of `LENGTH KEY=VALUE\\n` (POSIX.1-2001, pax)."""
        if size > _EXTENDED_LIMIT:
            raise damaged(f"the extended header after {self._last} has {size} bytes")
        header = Member(name=f"the extended header after {self._last}", size=size)
        data = b"".join(self.content(header))
        values: dict[str, str] = {}
        start = 0
        while start < len(data):  # by position: a header of many records is not copied for each
            length = data[start : start + _LENGTH_DIGITS].partition(b" ")[0]
            end = start + int(length) if length.isdigit() else start
            record = data[start + len(length) : end]
            key, equals, value = record[1:-1].partition(b"=")
            if record[:1] != b" " or not equals or record[-1:] != b"\n" or end > len(data):
                raise damaged(f"{header.name} is damaged")
            if key not in _EXTENDED_KEYS:
                raise damaged(f"{header.name} has the unknown key {key[:64]!r}")
            values[key.decode()] = value.decode(_ENCODING, _ERRORS)
            start = end
        return values

    def _expect_end(self) -> None:
        if self._stream.read(BLOCK) != bytes(BLOCK):
            raise damaged(f"the end mark after {self._last} is damaged")
        rest = self._stream.read(_PADDING_LIMIT)
        if rest.strip(b"\0") or self._stream.read(1):
            raise damaged(f"there is more behind the end of the archive, after {self._last}")
