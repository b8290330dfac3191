"""The keys that the settings name, read and checked in one place: before any work is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backup_tasks.conf import BackupSettings
from backup_tasks.errors import KeyMissing
from backup_tasks.package import cipher, signature
from backup_tasks.package.sidecar import RECIPIENTS, can_be_named

_LARGEST = 1 << 20
"""Bytes of the largest key file that is read."""


def signing_key(settings: BackupSettings) -> str | None:
    """Return the text of the signing key, None where packages are not signed.

    Raises KeyMissing, naming the setting and the file.
    """
    if settings.signing_key is None:
        return None
    path = settings.signing_key
    with _about(f"BACKUP['SIGNING_KEY']: {path}"):
        text = _read(path, "the signing key")
        signature.public_key(text)
    return text


def identities(settings: BackupSettings, params: Mapping[str, Any]) -> list[str]:
    """Return the texts of the age identities at hand: the settings' and the one of --identity.

    Raises KeyMissing, naming the file.
    """
    paths = [*settings.identities, *filter(None, [params.get("identity")])]
    return [_identity(path) for path in paths]


def _identity(path: str | Path) -> str:
    with _about(str(path)):
        text = _read(path, "the file of an age identity")
        cipher.check_identities(text)
    return text


def check_recipients(settings: BackupSettings) -> None:
    """Raise KeyMissing unless every recipient is a public key."""
    with _about("BACKUP['RECIPIENTS']"):
        recipients = _texts(settings.recipients)
        cipher.check_recipients(recipients)
        if not can_be_named(recipients):
            raise KeyMissing(
                f"the sidecar of a package can name {RECIPIENTS} recipients, each of one line",
                hint="Use fewer keys, and leave long comments out of ssh public keys.",
            )


def check_trusted(settings: BackupSettings) -> None:
    """Raise KeyMissing unless every trusted key is one."""
    with _about("BACKUP['TRUSTED_KEYS']"):
        signature.check_trusted(_texts(settings.trusted_keys))


def _texts(keys: Sequence[object]) -> list[str]:
    texts = [key for key in keys if isinstance(key, str)]
    if len(texts) != len(keys):
        raise KeyMissing("a key is not a text", hint="Write each key as a text, in quotes.")
    return texts


def _read(path: str | Path, what: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise KeyMissing(
            f"{what} can't be read ({error.strerror})",
            hint="Name a file that exists, and that the user of the workers may read.",
        ) from error
    try:
        if len(content) > _LARGEST:
            raise ValueError("too large")
        return content.decode()
    except ValueError as error:
        raise KeyMissing(
            f"{what} is not a text file with a key",
            hint="Name the file that was written when the key was made; it has a line or two.",
        ) from error


@contextmanager
def _about(obj: str) -> Iterator[None]:
    try:
        yield
    except KeyMissing as error:
        error.about(obj)
        raise
