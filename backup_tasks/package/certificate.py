"""A certificate: what one drill restored and found equal, signed, so that an auditor can check it
with the public key alone.

Its JSON is written in one way only, and the signature is over that. So a certificate with one byte
changed is refused, a space included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import cast, get_args

from backup_tasks.errors import DoesNotFit, SignatureInvalid
from backup_tasks.package import names, signature, strict
from backup_tasks.package.damage import damaged
from backup_tasks.package.entries import Exclusion
from backup_tasks.package.facts import LABEL_LIMIT, PROJECT_LIMIT, PackageType

CERTIFICATE_LIMIT = 32 << 20
"""Bytes of the largest certificate that is read. One of 1,000 models has 0.4 MB."""

_FORMAT = 1
_LINE = 1000
_PURPOSE = b"backup_tasks certificate 1\n"
"""Signed along, so that a signature for anything else can't be passed off as one for a
certificate."""


@dataclass(frozen=True, kw_only=True)
class ProvenModel:
    """A model whose restored rows were found equal to the package's."""

    label: str
    rows: int
    digest: str
    """Content digest over natural keys."""

    exact: str
    """Content digest of the rows as they are, primary keys included."""

    dangling: Mapping[str, int]
    """Field → references that lead nowhere, in the package as in what was restored. All others
    lead to a row."""


@dataclass(frozen=True, kw_only=True)
class ProvenFiles:
    """Files whose size and SHA-256 were found to be those of the package."""

    count: int
    total_size: int
    """Bytes."""

    index_sha256: str
    """Of the list that has the SHA-256 of each file."""


@dataclass(frozen=True, kw_only=True)
class CertifiedPackage:
    """The package that was restored."""

    name: str
    id: str
    sha256: str
    """Empty for a package without a sidecar."""

    size: int
    """Bytes; 0 where it is not known."""

    created_at: str
    """ISO 8601 in UTC."""

    signed_by: str
    """The trusted public key that signed it; empty where none did."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What one drill proved."""

    certificate_format: int = _FORMAT
    run: str
    type: PackageType
    """What was restored."""

    project: str
    installation: str
    host: str
    label: str
    started_at: str
    finished_at: str
    """ISO 8601 in UTC."""

    package: CertifiedPackage
    exactly: bool
    """Primary keys and stored values were compared too: the package is of the same kind of
    database."""

    models: tuple[ProvenModel, ...]
    excluded: tuple[Exclusion, ...]
    files: ProvenFiles | None
    """None where the package has none, or they were not restored."""

    versions: Mapping[str, str]
    audit_position: int
    audit_hash: str
    """The last entry of the audit trail then: the entries up to it are what they were, if it still
    has that hash. 0 and empty where there was none."""

    signed_by: str = ""
    signature: str = ""

    @property
    def took(self) -> timedelta:
        """How long the drill took, from its first step to its proof."""
        return _moment(self.finished_at) - _moment(self.started_at)

    @property
    def rows(self) -> int:
        """Rows of all models."""
        return sum(model.rows for model in self.models)

    def signed(self, key: str) -> Certificate:
        """Return it signed with a secret key. Raises KeyMissing if that is no key."""
        named = replace(self, signed_by=signature.public_key(key), signature="")
        return replace(named, signature=signature.sign(named._canonical(), key))

    def verify(self, trusted: Sequence[str]) -> str:
        """Return the trusted public key that signed it, as one line.

        Raises SignatureInvalid if none did, KeyMissing if there is no trusted key.
        """
        if not self.signature:
            raise not_signed(self.run)
        return signer(self._canonical(), self.signature, self.signed_by, trusted, of=self.run)

    def _canonical(self) -> bytes:
        values = asdict(self)
        del values["signature"]
        return _PURPOSE + json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    def to_json(self) -> bytes:
        """Return its one form."""
        return json.dumps(asdict(self), indent=2, sort_keys=True).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes, where: str) -> Certificate:
        """Return the certificate in `content`; `where` is its file name, for errors.

        Raises PackageDamaged for anything missing, unknown, of another type, or written in another
        way; DoesNotFit for a newer format. The signature is not checked.
        """
        record = strict.parse(content, where)
        found = _read(record)
        if found.to_json() != content:
            raise damaged("the certificate was altered: it is not written as it was", obj=where)
        return found


def not_signed(obj: str) -> SignatureInvalid:
    """Return the error for a certificate without a signature."""
    return SignatureInvalid(
        "the certificate is not signed, so anybody may have written it",
        obj=obj,
        hint="It proves nothing. Set SIGNING_KEY on the host that drills: later ones are signed.",
    )


def signer(payload: bytes, made: str, named: str, trusted: Sequence[str], *, of: str) -> str:
    """Return the trusted public key that made a signature, as one line; it must be the one that is
    named. Raises SignatureInvalid, KeyMissing."""
    try:
        key = signature.bare(signature.verify(payload, made, trusted))
    except SignatureInvalid as error:
        raise SignatureInvalid(error.what, obj=of, hint=_ALTERED) from error
    if key != named:
        raise SignatureInvalid("another key signed it than it names", obj=of, hint=_ALTERED)
    return key


_ALTERED = "It was altered, or another system wrote it. It proves nothing."


def _read(record: strict.Record) -> Certificate:
    found = record.count("certificate_format")
    if found < 1:
        raise record.wrong("certificate_format", "a version from 1 up")
    if found > _FORMAT:
        raise DoesNotFit(
            f"the certificate has format {found}, this version reads format {_FORMAT}",
            obj=record.where,
            hint="Install the version of backup_tasks that wrote it.",
        )
    certificate = Certificate(
        run=record.line("run", 64),
        type=cast("PackageType", record.one_of("type", get_args(PackageType))),
        project=record.line("project", PROJECT_LIMIT),
        installation=record.text("installation"),
        host=record.line("host", 255),
        label=record.line("label", LABEL_LIMIT),
        started_at=record.utc("started_at"),
        finished_at=record.utc("finished_at"),
        package=_package(record.record("package")),
        exactly=record.flag("exactly"),
        models=tuple(_model(each) for each in record.records("models")),
        excluded=tuple(_exclusion(each) for each in record.records("excluded")),
        files=None if record.is_null("files") else _files(record.record("files")),
        versions=record.text_map("versions"),
        audit_position=record.count("audit_position"),
        audit_hash=record.text("audit_hash"),
        signed_by=record.line("signed_by", _LINE),
        signature=record.line("signature", _LINE),
    )
    record.done()
    return certificate


def _package(record: strict.Record) -> CertifiedPackage:
    package = CertifiedPackage(
        name=record.line("name", 4 * names.NAME_LIMIT),
        id=record.text("id"),
        sha256=record.text("sha256"),
        size=record.count("size"),
        created_at=record.utc("created_at"),
        signed_by=record.line("signed_by", _LINE),
    )
    record.done()
    return package


def _model(record: strict.Record) -> ProvenModel:
    model = ProvenModel(
        label=record.line("label", _LINE),
        rows=record.count("rows"),
        digest=record.text("digest"),
        exact=record.text("exact"),
        dangling=record.count_map("dangling"),
    )
    record.done()
    return model


def _exclusion(record: strict.Record) -> Exclusion:
    exclusion = Exclusion(label=record.line("label", _LINE), reason=record.text("reason"))
    record.done()
    return exclusion


def _files(record: strict.Record) -> ProvenFiles:
    files = ProvenFiles(
        count=record.count("count"),
        total_size=record.count("total_size"),
        index_sha256=record.sha256("index_sha256"),
    )
    record.done()
    return files


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
