"""A stock of files that the generated versions point to."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from edms.volume.chance import Chance

FEWEST = 20
_PER_MEGABYTE = 4


@dataclass(frozen=True, kw_only=True)
class StockFile:
    """One stored file; many versions may share it."""

    name: str
    file_name: str
    content_type: str
    size: int
    sha256: str


def generate_files(megabytes: int, seed: int) -> list[StockFile]:
    """Store files of `megabytes` MB in all (4 files a megabyte, at least 20 small ones).

    Files of an earlier run with the same seed are used again.
    """
    return list(_files(megabytes, seed))


def _files(megabytes: int, seed: int) -> Iterator[StockFile]:
    chance = Chance(seed)
    number = max(FEWEST, megabytes * _PER_MEGABYTE)
    size = megabytes * 1_000_000 // number
    for row in range(number):
        content = (
            chance.randbytes(size)
            if size
            else "\n".join(chance.title() for _ in range(chance.randrange(5, 60))).encode()
        )
        suffix, kind = ("bin", "application/octet-stream") if size else ("txt", "text/plain")
        name = f"volume/{seed}/{row:05d}-{len(content)}.{suffix}"
        if not default_storage.exists(name):
            default_storage.save(name, ContentFile(content))
        yield StockFile(
            name=name,
            file_name=f"file-{row:05d}.{suffix}",
            content_type=kind,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
