from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backup_tasks.errors import DoesNotFit, KeyMissing, PackageDamaged, SignatureInvalid
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.signature import generate_key, public_key, sign, verify
from backup_tasks.package.streams import Written

from .content import ROWS, manifest_of, model_entry

NAME = "edms-20261122T223355Z-nightly-1a2b3c4d.tar.zst.age"
SIDECAR = Sidecar.of(
    manifest_of([model_entry(1, "users.user", ROWS["users.user"])]),
    name=NAME,
    written=Written(size=123, sha256="a" * 64),
    compression="zstd",
    recipients=["age1abc"],
)


def test_the_key_that_signed_is_found_among_the_trusted_ones() -> None:
    (secret, public), (_, other) = generate_key(), generate_key()
    signature = sign(b"payload", f"# the key of the backup host\n\n{secret}\n")

    assert verify(b"payload", signature, [other, public]) == public
    assert public_key(secret) == public


def test_another_payload_another_key_or_another_signature_is_refused() -> None:
    (secret, public), (_, other) = generate_key(), generate_key()
    signature = sign(b"payload", secret)

    for payload, text, trusted in (
        (b"payloaD", signature, [public]),
        (b"payload", signature, [other]),
        (b"payload", sign(b"payloaD", secret), [public]),
        (b"payload", "", [public]),
        (b"payload", "not base64!", [public]),
    ):
        with pytest.raises(SignatureInvalid) as caught:
            verify(payload, text, trusted)
        assert caught.value.exit_code == 6


def test_no_trusted_key_is_an_error() -> None:
    secret, _ = generate_key()

    with pytest.raises(KeyMissing, match="no trusted key"):
        verify(b"payload", sign(b"payload", secret), [])


def test_what_is_no_key_is_refused_without_showing_it() -> None:
    secret, public = generate_key()

    for text in ("", "# only a comment", "secret", public, secret[:-4], secret + "\n" + secret):
        with pytest.raises(KeyMissing) as caught:
            sign(b"payload", text)
        assert secret[20:40] not in str(caught.value)
    with pytest.raises(KeyMissing) as caught:
        verify(b"payload", sign(b"payload", secret), [secret])
    assert secret[20:40] not in str(caught.value)


def test_a_sidecar_comes_back_equal() -> None:
    signed = SIDECAR.signed(generate_key()[0])

    for sidecar in (SIDECAR, signed):
        assert Sidecar.from_json(sidecar.to_json(), sidecar.file_name) == sidecar
    assert SIDECAR.file_name == "edms-20261122T223355Z-nightly-1a2b3c4d.json"


def test_a_signed_sidecar_is_trusted_after_a_round_trip() -> None:
    secret, public = generate_key()
    signed = SIDECAR.signed(secret)

    found = Sidecar.from_json(signed.to_json(), signed.file_name)

    assert found.verify([public]) == found.signed_by == public


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "b" * 64},
        {"size": 124},
        {"name": "other.tar.zst"},
        {"id": "other"},
        {"project": "other"},
        {"created_at": "2027-01-01T00:00:00+00:00"},
        {"encrypted": False},
        {"recipients": ()},
        {"signed_by": None},
    ],
)
def test_a_forged_sidecar_is_refused(change: dict[str, object]) -> None:
    secret, public = generate_key()
    signed = SIDECAR.signed(secret)
    values = {field: getattr(signed, field) for field in Sidecar.__dataclass_fields__}

    with pytest.raises(SignatureInvalid, match="none of the 1 trusted keys"):
        Sidecar(**values | change).verify([public])


def test_a_sidecar_signed_by_a_stranger_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        SIDECAR.signed(generate_key()[0]).verify([generate_key()[1]])


def test_an_unsigned_sidecar_is_refused_and_the_way_out_is_named() -> None:
    with pytest.raises(SignatureInvalid, match="not signed") as caught:
        SIDECAR.verify([generate_key()[1]])

    assert "--allow-unsigned" in caught.value.hint


def test_a_sidecar_is_read_strictly() -> None:
    good = SIDECAR.to_json()

    for content in (
        b"",
        b"{}",
        good.replace(b'"size"', b'"sise"'),
        good.replace(b'"size": 123', b'"size": "123"'),
        good.replace(b'"encrypted": true', b'"encrypted": 1'),
        good.replace(b'"zstd"', b'"rar"'),
        good.replace(b"a" * 64, b"a" * 63),
        good.replace(NAME.encode(), b"other.tar.zst"),
        good.replace(NAME.encode(), b"../" + NAME.encode()),
    ):
        assert content != good
        with pytest.raises(PackageDamaged):
            Sidecar.from_json(content, SIDECAR.file_name)
    with pytest.raises(DoesNotFit, match="format 3"):
        Sidecar.from_json(replace(SIDECAR, format=3).to_json(), SIDECAR.file_name)


def test_a_signature_is_for_a_sidecar_and_nothing_else(tmp_path: Path) -> None:
    secret, public = generate_key()
    signed = SIDECAR.signed(secret)
    assert signed.signature

    with pytest.raises(SignatureInvalid):
        verify(signed.canonical().split(b"\n", 1)[1], signed.signature, [public])
