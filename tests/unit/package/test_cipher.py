from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from backup_tasks.errors import KeyMissing, PackageDamaged
from backup_tasks.package.cipher import (
    decrypt_stream,
    encrypt_stream,
    generate_identity,
    is_age,
)

CLEAR = bytes(range(256)) * 1000


def encrypted(*recipients: str) -> bytes:
    sink = io.BytesIO()
    encrypt_stream(io.BytesIO(CLEAR), sink, recipients)
    return sink.getvalue()


def decrypted(data: bytes, *identities: str) -> bytes:
    sink = io.BytesIO()
    decrypt_stream(io.BytesIO(data), sink, identities)
    return sink.getvalue()


def test_each_recipient_opens_it_with_an_identity_file() -> None:
    keys = [generate_identity() for _ in range(3)]
    data = encrypted(keys[0][1], f" {keys[1][1]}\n")
    other = f"# created: 2026-11-22\n# public key: …\n\n{keys[2][0]}\n"

    assert is_age(data)
    assert not is_age(CLEAR)
    for identity, _ in keys[:2]:
        assert decrypted(data, other + identity + "\n") == CLEAR
    with pytest.raises(KeyMissing, match="none of the 1 identities"):
        decrypted(data, other)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys_are_recipients_and_identities(kind: str) -> None:
    secret, public = ssh_key(kind)

    assert decrypted(encrypted(public), secret) == CLEAR


def test_an_ssh_key_with_a_passphrase_is_refused_with_the_reason(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    file = str(tmp_path / "key")
    keygen = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "words", "-f", file]
    subprocess.run(keygen, check=True)
    data = encrypted((tmp_path / "key.pub").read_text())

    with pytest.raises(KeyMissing, match="passphrase"):
        decrypted(data, (tmp_path / "key").read_text())


def ssh_key(kind: str) -> tuple[str, str]:
    """Return (private key, public key), written as ssh-keygen writes them."""
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey = (
        ed25519.Ed25519PrivateKey.generate()
        if kind == "ed25519"
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return secret.decode(), public.decode()


@pytest.mark.parametrize("identity", ["garbage", "AGE-SECRET-KEY-1QQQ", "-----BEGIN X-----\n"])
def test_an_identity_that_is_none_is_refused_without_showing_it(identity: str) -> None:
    with pytest.raises(KeyMissing) as caught:
        decrypted(encrypted(generate_identity()[1]), identity)

    assert identity not in str(caught.value)


def test_a_private_key_in_the_place_of_a_recipient_is_not_shown() -> None:
    identity, _ = generate_identity()

    with pytest.raises(KeyMissing) as caught:
        encrypted(identity)

    assert identity[16:] not in str(caught.value)


def test_no_recipient_is_an_error_not_cleartext() -> None:
    """P6."""
    with pytest.raises(KeyMissing, match="no recipient"):
        encrypted()


def test_no_identity_is_an_error_that_says_so() -> None:
    with pytest.raises(KeyMissing, match="no identity was given"):
        decrypted(encrypted(generate_identity()[1]))


def test_truncated_and_altered_data_is_damage() -> None:
    identity, recipient = generate_identity()
    data = encrypted(recipient)

    for broken in (data[:-1], data[: len(data) // 2], data[:-1] + b"\0", data + b"\0", data[:100]):
        with pytest.raises(PackageDamaged):
            decrypted(broken, identity)


class _Full(io.RawIOBase):
    def write(self, data: object, /) -> int:
        raise OSError(28, "No space left on device")


class _Gone(io.RawIOBase):
    def read(self, size: int = -1, /) -> bytes:
        raise TimeoutError("the share is gone")


def test_what_reader_and_writer_raise_comes_through_as_it_was() -> None:
    identity, recipient = generate_identity()
    data = encrypted(recipient)

    with pytest.raises(OSError, match="No space left"):
        encrypt_stream(io.BytesIO(CLEAR), _Full(), [recipient])
    with pytest.raises(OSError, match="No space left"):
        decrypt_stream(io.BytesIO(data), _Full(), [identity])
    with pytest.raises(TimeoutError):
        encrypt_stream(_Gone(), io.BytesIO(), [recipient])
    with pytest.raises(TimeoutError):
        decrypt_stream(_Gone(), io.BytesIO(), [identity])
