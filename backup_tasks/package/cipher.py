"""Encryption of a package with age (https://age-encryption.org/v1). The only importer of pyrage.

A package is encrypted to public keys: a worker that makes packages can't read old ones. Encryption
does not prove who made a package; its signature does, see `signature`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import pyrage

from backup_tasks.errors import BackupError, KeyMissing, Transient
from backup_tasks.package.damage import damaged
from backup_tasks.package.streams import Reader, Writer

_MAGIC = b"age-encryption.org/v1\n"
_KEY_HINT = "Give the identity file (BACKUP['IDENTITIES'] or --identity) of one of its recipients."
_RECIPIENT_HINT = "Recipients (BACKUP['RECIPIENTS']) are `age1…` keys or ssh public keys."
_IDENTITY_HINT = "An identity is `AGE-SECRET-KEY-…` or an ssh private key without a passphrase."
_Result = TypeVar("_Result")


def is_age(first: bytes) -> bool:
    """Return whether a file that starts with these bytes is encrypted with age."""
    return first.startswith(_MAGIC)


def generate_identity() -> tuple[str, str]:
    """Return a new (identity, recipient): the private key and its public key."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def check_recipients(recipients: Sequence[str]) -> None:
    """Raise KeyMissing, naming the first, unless all are public keys that a package can be
    encrypted to."""
    for text in recipients:
        _recipient(text.strip())


def check_identities(text: str) -> None:
    """Raise KeyMissing unless this is the text of an identity file that has an identity."""
    if not _identities(text):
        raise KeyMissing("the file has no identity", hint=_IDENTITY_HINT)


def encrypt_stream(reader: Reader, writer: Writer, recipients: Sequence[str]) -> None:
    """Encrypt all of `reader` into `writer`, for each of `recipients`: `age1…`, or ssh public keys
    (`ssh-ed25519 …`, `ssh-rsa …`).

    Raises KeyMissing for a recipient that is no key, or if there is none; and whatever reader and
    writer raise.
    """
    if not recipients:
        raise KeyMissing(
            "encryption was asked for, and there is no recipient", hint=_RECIPIENT_HINT
        )
    keys = [_recipient(text.strip()) for text in recipients]
    watched = _Watched(reader, writer)
    try:
        pyrage.encrypt_io(watched, watched, keys)
    except (pyrage.EncryptError, OSError) as error:
        watched.raise_original()
        raise Transient(f"age could not encrypt the package ({error})") from error


def decrypt_stream(reader: Reader, writer: Writer, identities: Sequence[str]) -> None:
    """Decrypt all of `reader` into `writer`.

    `identities` are texts of identity files: lines of `AGE-SECRET-KEY-…` and comments, or an ssh
    private key without a passphrase. Until this returns, what was written is **not** proven: bytes
    before the altered place are passed on. Use nothing of it earlier.

    Raises KeyMissing when none of the identities fits, PackageDamaged for truncated or altered
    data; and whatever reader and writer raise.
    """
    keys = [key for text in identities for key in _identities(text)]
    if not keys:
        raise KeyMissing("the package is encrypted, and no identity was given", hint=_KEY_HINT)
    watched = _Watched(reader, writer)
    try:
        pyrage.decrypt_io(watched, watched, keys)
    except (pyrage.DecryptError, OSError) as error:
        watched.raise_original()
        raise _refused(error, len(keys)) from error


def _refused(error: Exception, keys: int) -> BackupError:
    # pyrage has one class for all of it; the text is age's own.
    if "No matching keys" in str(error):
        return KeyMissing(f"none of the {keys} identities opens the package", hint=_KEY_HINT)
    return damaged(f"the encrypted package is truncated or altered ({error})")


def _recipient(text: str) -> object:
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(text)
    except pyrage.RecipientError as error:
        # Shortened: a private key that was put here by mistake must not end up in a log.
        raise KeyMissing(
            f"the recipient that starts with {text[:8]!r} is not a public key ({error})",
            hint=_RECIPIENT_HINT,
        ) from error


def _identities(text: str) -> list[object]:
    if text.lstrip().startswith("-----BEGIN"):
        return [_identity(pyrage.ssh.Identity.from_buffer, text.encode(), "the ssh private key")]
    return [
        _identity(pyrage.x25519.Identity.from_str, line.strip(), f"line {number}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]


def _identity(make: Callable[[_Result], object], secret: _Result, where: str) -> object:
    # The error shows the line, never the secret.
    try:
        return make(secret)
    except pyrage.IdentityError as error:
        raise KeyMissing(
            f"{where} of the identity file is not an identity ({error})",
            hint=_IDENTITY_HINT,
        ) from error


class _Watched:
    """Reader and writer at once, remembering what they raise.

    pyrage turns an exception of its callbacks into an error of its own, without cause.
    """

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer
        self._original: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._reader.read(size)
        except BaseException as error:
            self._original = error
            raise

    def write(self, data: bytes) -> int:
        try:
            self._writer.write(data)
        except BaseException as error:
            self._original = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back here; pyrage asks."""

    def raise_original(self) -> None:
        if self._original is not None:
            raise self._original
