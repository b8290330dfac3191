"""Package options: where a package is written to, how it is compressed, and whether encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_tasks.conf import BackupSettings
from backup_tasks.errors import KeyMissing, Misconfigured, NotEncrypted
from backup_tasks.package import keys
from backup_tasks.package.compression import Compression
from backup_tasks.package.facts import LABEL_LIMIT, PROJECT_LIMIT
from backup_tasks.package.names import is_file_name
from backup_tasks.package.strict import is_line
from backup_tasks.printable import shown

_SUFFIXES: Mapping[str, Compression] = {
    ".tar.zst": "zstd",
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar": "none",
}


@dataclass(frozen=True, kw_only=True)
class PackageOptions:
    """Where a package is written to, and how."""

    output: Path | None
    """None: into the store."""
    compression: Compression
    encrypted: bool


def package_options(params: Mapping[str, Any], settings: BackupSettings) -> PackageOptions:
    """Return the options that the run's `output`, `compress` and `encrypt` ask for.

    The suffix of an output path says what is in it: a path that ends otherwise is refused. Whatever
    would keep the package from being written is found here, before any work is done. Raises
    Misconfigured for such a path, and where the options contradict each other; KeyMissing where
    encryption is asked for and nobody could decrypt, or a recipient or the signing key is no key;
    NotEncrypted where a package in clear is not allowed.
    """
    _refuse_names(str(params.get("label") or ""), settings.project)
    encrypted = params.get("encrypt")
    if encrypted is None:
        encrypted = bool(settings.recipients)
    if encrypted and not settings.recipients:
        raise KeyMissing(
            "encryption was asked for, and there is no public key to encrypt to",
            obj="settings.BACKUP['RECIPIENTS']",
            hint="Name an age public key there, or say --no-encrypt.",
        )
    if settings.require_encryption and not encrypted:
        raise NotEncrypted(
            "the package would be written in clear",
            obj="settings.BACKUP['REQUIRE_ENCRYPTION']",
            hint="Name an age public key in RECIPIENTS, and do not say --no-encrypt.",
        )
    if encrypted:
        keys.check_recipients(settings)
    keys.signing_key(settings)
    asked: Compression | None = params.get("compress")
    if not params.get("output"):
        return PackageOptions(output=None, compression=asked or "zstd", encrypted=encrypted)
    output = Path(params["output"])
    stem = output.name.removesuffix(".age")
    told = next((kind for end, kind in _SUFFIXES.items() if stem.endswith(end)), None)
    if told is None or not is_file_name(output.name):
        raise Misconfigured(
            "this can't be the name of a package",
            obj=str(output),
            hint="Let the path end in .tar.zst, .tar.gz, .tgz or .tar, which says how it is "
            "compressed, and in .age behind that if it is encrypted.",
        )
    if (output.suffix == ".age") != encrypted:
        raise Misconfigured(
            "the package is encrypted" if encrypted else "the package is not encrypted",
            obj=str(output),
            hint="Let the path end in .age." if encrypted else "Leave .age out of the path.",
        )
    if asked and told != asked:
        raise Misconfigured(
            f"the path says {told}, --compress says {asked}",
            obj=str(output),
            hint="Let the path end in .tar.zst, .tar.gz or .tar, as you choose.",
        )
    return PackageOptions(output=output, compression=told, encrypted=encrypted)


def _refuse_names(label: str, project: str) -> None:
    for what, name, most in (("label", label, LABEL_LIMIT), ("project", project, PROJECT_LIMIT)):
        if not is_line(name, most):
            raise Misconfigured(
                f"this can't be the {what} of a package",
                obj=shown(name),
                hint=f"Use at most {most} printable characters.",
            )
