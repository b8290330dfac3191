"""`verify_certificate`: says whether a certificate is what a drill has written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.conf import backup_settings
from backup_tasks.errors import Misconfigured, PackageDamaged
from backup_tasks.evidence.certificate_page import is_page, verify_page
from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import said
from backup_tasks.package.certificate import CERTIFICATE_LIMIT, Certificate

_PREFIX = "backup-public-key:"


class Command(Base):
    help = "Check a certificate of a drill, JSON or HTML, with the public key alone."
    needs_database = False

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=said, help="Path of the certificate.")
        parser.add_argument(
            "--key",
            action="append",
            type=said,
            metavar="KEY",
            help="Public key, or the file that holds it, instead of TRUSTED_KEYS. May be repeated.",
        )

    def perform(self, options: Mapping[str, Any]) -> None:
        keys = [_key(text) for text in options["key"] or backup_settings().trusted_keys]
        path = Path(options["file"])
        try:
            with path.open("rb") as file:
                content = file.read(CERTIFICATE_LIMIT + 1)
        except OSError as error:
            raise Misconfigured(f"the file can't be read: {error}", obj=str(path)) from error
        if len(content) > CERTIFICATE_LIMIT:
            raise PackageDamaged("this is too large for a certificate", obj=path.name)
        if is_page(content):
            key = verify_page(content, path.name, keys)
            self.tell({"signed_by": key}, f"{path.name} is as it was signed by {key}")
            return
        certificate = Certificate.from_json(content, path.name)
        key = certificate.verify(keys)
        self.tell(
            {"signed_by": key, "certificate": asdict(certificate)},
            _summary(certificate, key),
        )


def _key(text: str) -> str:
    if text.startswith(_PREFIX):
        return text
    try:
        return Path(text).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Misconfigured(
            f"this is neither a public key nor a file that can be read: {error}",
            obj=text,
            hint=f"A key begins with {_PREFIX}",
        ) from error


def _summary(certificate: Certificate, key: str) -> str:
    package = certificate.package
    files = f" and {certificate.files.count} files" if certificate.files else ""
    content = f"{len(certificate.models)} models with {certificate.rows} rows{files}"
    return "\n".join(
        [
            f"{certificate.run} proved {package.name} at {certificate.finished_at}:",
            f"  {content}, in {certificate.took.total_seconds():.0f} seconds",
            f"  SHA-256 of the package: {package.sha256 or 'not known'}",
            f"The certificate is as it was signed by {key}",
        ]
    )
