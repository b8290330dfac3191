"""The sidecar: what a store knows of a package without opening it, in `NAME.json` beside it.

It is enough to list, check and prune packages without a key, and it is what is signed: it states
the SHA-256 of the whole package, so a signature over it is one over everything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, cast, get_args

from backup_tasks.errors import SignatureInvalid
from backup_tasks.package import names, signature, strict
from backup_tasks.package.compression import Compression
from backup_tasks.package.damage import damaged
from backup_tasks.package.facts import (
    FORMAT,
    Facts,
    PackageType,
    Totals,
    read_facts,
    read_format,
    read_totals,
    without_empty,
)
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.streams import Written

SIDECAR_LIMIT = 1 << 20
"""Bytes of the largest sidecar that is read."""

RECIPIENTS = 100
"""Public keys that a sidecar can name."""

_RECIPIENT_LIMIT = 4096
_KEY_LIMIT = 100
_SIGNATURE_LIMIT = 200
_INCOMPLETE_LIMIT = 4096

_IN_BOTH = ("format", *Facts.__annotations__, "totals", "incomplete")
"""What a sidecar and a manifest both say."""

_PURPOSE = b"backup_tasks sidecar 1\n"
"""Signed along, so that a signature for anything else can't be passed off as one for a sidecar."""


def can_be_named(recipients: Sequence[str]) -> bool:
    """Return whether a sidecar can name these public keys."""
    lines = (strict.is_line(text.strip(), _RECIPIENT_LIMIT) for text in recipients)
    return len(recipients) <= RECIPIENTS and all(lines)


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What is known of a package from outside."""

    format: int = FORMAT
    id: str
    name: str
    """File name of the package."""

    created_at: str
    """ISO 8601 in UTC: the moment of the snapshot."""

    size: int
    """Bytes of the package."""

    sha256: str
    """Of the package."""

    host: str
    project: str
    label: str
    type: PackageType
    compression: Compression
    encrypted: bool
    recipients: tuple[str, ...]
    totals: Totals
    incomplete: str = ""
    """Why the package is no good backup, such as which files it lacks, where nobody has accepted
    that. Empty, and left out, where it is one."""
    installation: str | None = None
    """16 hexadecimal digits that tell apart the systems that make packages under one project name.
    None in packages of before there was such an id."""

    signed_by: str | None = None
    """Public key of the signature."""

    signature: str | None = None
    """Ed25519, base64, over `canonical()`."""

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        *,
        name: str,
        written: Written,
        compression: Compression,
        recipients: Sequence[str],
        installation: str | None = None,
    ) -> Sidecar:
        """Return the unsigned sidecar of a package that was just written under `name`."""
        return cls(
            id=manifest.id,
            name=name,
            created_at=manifest.created_at,
            size=written.size,
            sha256=written.sha256,
            host=manifest.host,
            project=manifest.project,
            label=manifest.label,
            type=manifest.type,
            compression=compression,
            encrypted=bool(recipients),
            recipients=tuple(text.strip() for text in recipients),
            totals=manifest.totals,
            incomplete=manifest.incomplete,
            installation=installation,
        )

    @property
    def file_name(self) -> str:
        """Name of the sidecar's own file."""
        return names.sidecar_name(self.name)

    @property
    def moment(self) -> datetime:
        """The moment of the snapshot."""
        return datetime.fromisoformat(self.created_at)

    def differences(self, manifest: Manifest) -> list[str]:
        """Return the names of the fields that both have, and that are not the same."""
        return [name for name in _IN_BOTH if getattr(self, name) != getattr(manifest, name)]

    def canonical(self) -> bytes:
        """Return the bytes that are signed: sorted JSON of everything but the signature."""
        values = self._values()
        del values["signature"]
        return _PURPOSE + json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    def signed(self, key: str) -> Sidecar:
        """Return the sidecar signed with a secret key. Raises KeyMissing if it is no key."""
        named = replace(self, signed_by=signature.public_key(key), signature=None)
        return replace(named, signature=signature.sign(named.canonical(), key))

    def verify(self, trusted: Sequence[str]) -> str:
        """Return the trusted public key that signed this.

        Raises SignatureInvalid if it is not signed, or none of `trusted` signed it; KeyMissing if
        there are no trusted keys.
        """
        if self.signature is None:
            raise SignatureInvalid(
                "the package is not signed",
                obj=self.name,
                hint="Pass --allow-unsigned if you know where it comes from.",
            )
        try:
            return signature.verify(self.canonical(), self.signature, trusted)
        except SignatureInvalid as error:
            raise error.about(self.name) from None

    def to_json(self) -> bytes:
        return json.dumps(self._values(), indent=2).encode() + b"\n"

    def _values(self) -> dict[str, Any]:
        return without_empty(asdict(self), "incomplete", "installation")

    @classmethod
    def from_json(cls, content: bytes, where: str) -> Sidecar:
        """Return the sidecar in `content`; `where` is its file name, for errors.

        Raises PackageDamaged for anything missing, unknown, of another type or form, or larger than
        what can be shown and entered into the index; DoesNotFit for a newer format.
        """
        record = strict.parse(content, where)
        sidecar = cls(
            format=read_format(record),
            **read_facts(record),
            name=record.line("name", names.NAME_LIMIT),
            size=record.count("size"),
            sha256=record.sha256("sha256"),
            compression=cast("Compression", record.one_of("compression", get_args(Compression))),
            encrypted=record.flag("encrypted"),
            recipients=record.lines("recipients", items=RECIPIENTS, most=_RECIPIENT_LIMIT),
            totals=read_totals(record.record("totals")),
            incomplete=record.line_if_any("incomplete", _INCOMPLETE_LIMIT),
            installation=None if record.lacks("installation") else record.id("installation"),
            signed_by=None if record.is_null("signed_by") else record.line("signed_by", _KEY_LIMIT),
            signature=None
            if record.is_null("signature")
            else record.line("signature", _SIGNATURE_LIMIT),
        )
        record.done()
        if names.sidecar_name(sidecar.name) != where or not names.is_file_name(sidecar.name):
            raise damaged(f"the sidecar belongs to the package {sidecar.name!r}", obj=where)
        return sidecar
