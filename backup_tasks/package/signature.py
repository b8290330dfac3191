"""Ed25519 signatures: who made a package. The only importer of cryptography.

Keys are texts of one line: `backup-secret-key:` or `backup-public-key:`, then the 32 bytes of the
key in base64. Where a key is given as the text of a file, lines that start with `#` are comments.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from backup_tasks.errors import KeyMissing, SignatureInvalid

_SECRET = "backup-secret-key:"  # noqa: S105  # a prefix, not a secret
_PUBLIC = "backup-public-key:"
_KEY_BYTES = 32


def generate_key() -> tuple[str, str]:
    """Return a new (secret key, public key)."""
    key = Ed25519PrivateKey.generate()
    return _text(_SECRET, key.private_bytes_raw()), _text(
        _PUBLIC, key.public_key().public_bytes_raw()
    )


def public_key(secret: str) -> str:
    """Return the public key that belongs to a secret key. Raises KeyMissing if it is no key."""
    return _text(_PUBLIC, _secret_key(secret).public_key().public_bytes_raw())


def sign(payload: bytes, key: str) -> str:
    """Return the signature of `payload` in base64. Raises KeyMissing if `key` is no secret key."""
    return base64.b64encode(_secret_key(key).sign(payload)).decode()


def verify(payload: bytes, signature: str, trusted: Sequence[str]) -> str:
    """Return the one of the trusted public keys that made `signature`.

    Raises SignatureInvalid if none did; KeyMissing if there is none, or one of them is no key.
    """
    if not trusted:
        raise KeyMissing(
            "there is no trusted key to check the signature with",
            hint="Put the public key of the system that makes packages into TRUSTED_KEYS.",
        )
    try:
        raw = base64.b64decode(signature, validate=True)
        if base64.b64encode(raw).decode() != signature:  # bits that no byte needs
            raise ValueError
    except ValueError as error:  # of binascii, or of base64 for what is not ASCII
        raise SignatureInvalid(
            "the signature is not base64",
            hint="Somebody else made or altered this package. Do not restore it before you know "
            "who.",
        ) from error
    for text in trusted:
        key = _public_key(text)
        try:
            key.verify(raw, payload)
        except InvalidSignature:
            continue
        return text
    raise SignatureInvalid(
        f"none of the {len(trusted)} trusted keys made the signature",
        hint="Somebody else made or altered this package. Do not restore it before you know who.",
    )


def bare(trusted: str) -> str:
    """Return a public key as its one line. Raises KeyMissing where it is none."""
    return _text(_PUBLIC, _raw(trusted, _PUBLIC, "trusted key"))


def check_trusted(trusted: Sequence[str]) -> None:
    """Raise KeyMissing unless all are public keys."""
    for text in trusted:
        _public_key(text)


def _public_key(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_raw(text, _PUBLIC, "trusted key"))


def _secret_key(text: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_raw(text, _SECRET, "signing key"))


def _raw(text: str, prefix: str, what: str) -> bytes:
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    try:
        raw = base64.b64decode(keys[0].removeprefix(prefix), validate=True) if keys else b""
    except ValueError:
        raw = b""
    if len(keys) != 1 or not keys[0].startswith(prefix) or len(raw) != _KEY_BYTES:
        # The message never shows the text: it may be a secret in the wrong place.
        raise KeyMissing(f"the {what} is not a key", hint=f"It is a line `{prefix}…`.")
    return raw


def _text(prefix: str, raw: bytes) -> str:
    return prefix + base64.b64encode(raw).decode()
