"""A certificate with one byte changed is refused, and only the key that signed it proves it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backup_tasks.errors import BackupError, KeyMissing, PackageDamaged, SignatureInvalid
from backup_tasks.evidence.certificate_page import page, verify_page
from backup_tasks.package import signature
from backup_tasks.package.certificate import (
    Certificate,
    CertifiedPackage,
    ProvenFiles,
    ProvenModel,
)
from backup_tasks.package.entries import Exclusion

SECRET, PUBLIC = signature.generate_key()
CERTIFICATE = Certificate(
    run="drill-20261128T030000-abcde",
    type="full",
    project="shop",
    installation="0" * 16,
    host="db1",
    label="",
    started_at="2026-11-28T03:00:00+00:00",
    finished_at="2026-11-28T03:00:41+00:00",
    package=CertifiedPackage(
        name="shop-1.tar.zst",
        id="1" * 16,
        sha256="a" * 64,
        size=5000,
        created_at="2026-11-28T02:30:00+00:00",
        signed_by=PUBLIC,
    ),
    exactly=True,
    models=(ProvenModel(label="a.b", rows=3, digest="1f", exact="2e", dangling={"author": 1}),),
    excluded=(Exclusion(label="c.d", reason="of the ledger"),),
    files=ProvenFiles(count=2, total_size=9, index_sha256="b" * 64),
    versions={"Python": "3.11.2"},
    audit_position=7,
    audit_hash="c" * 64,
).signed(SECRET)


def verdict(content: bytes, public: str, *, as_page: bool) -> str:
    """What is said of a certificate: the key, or the error's name."""
    try:
        if as_page:
            return verify_page(content, "x", [public])
        return Certificate.from_json(content, "x").verify([public])
    except BackupError as error:
        return type(error).__name__


@pytest.mark.parametrize("as_page", [False, True], ids=["json", "html"])
def test_one_changed_byte_anywhere_is_refused(as_page: bool) -> None:
    whole = page(CERTIFICATE, SECRET) if as_page else CERTIFICATE.to_json()
    assert verdict(whole, PUBLIC, as_page=as_page) == PUBLIC

    for at, byte in enumerate(whole):
        for changed in {byte ^ 1, ord("A"), ord(" ")} - {byte}:
            altered = whole[:at] + bytes([changed]) + whole[at + 1 :]
            told = verdict(altered, PUBLIC, as_page=as_page)
            assert told in ("PackageDamaged", "SignatureInvalid"), (at, altered[at - 9 : at + 9])
    for altered in (
        whole[:-1],
        whole + b"\n",
        whole + b" ",
        b" " + whole,
        whole.replace(b"\n", b"\r\n", 1),
    ):
        assert verdict(altered, PUBLIC, as_page=as_page) in ("PackageDamaged", "SignatureInvalid")


def test_another_key_proves_nothing() -> None:
    secret, other = signature.generate_key()

    with pytest.raises(SignatureInvalid):
        CERTIFICATE.verify([other])
    with pytest.raises(KeyMissing):
        CERTIFICATE.verify([])
    # Signed by one trusted key in the name of another.
    stolen = replace(CERTIFICATE.signed(secret), signed_by=PUBLIC)
    stolen = replace(stolen, signature=signature.sign(stolen._canonical(), secret))
    with pytest.raises(SignatureInvalid):
        stolen.verify([PUBLIC, other])


def test_a_key_may_have_comments_beside_it() -> None:
    assert CERTIFICATE.verify([f"# of the shop\n{PUBLIC}\n"]) == PUBLIC


def test_a_signature_for_something_else_is_none_of_a_certificate() -> None:
    bare = CERTIFICATE._canonical().partition(b"\n")[2]

    with pytest.raises(SignatureInvalid):
        replace(CERTIFICATE, signature=signature.sign(bare, SECRET)).verify([PUBLIC])


def test_what_is_read_is_what_was_written() -> None:
    assert Certificate.from_json(CERTIFICATE.to_json(), "x") == CERTIFICATE
    assert CERTIFICATE.took.total_seconds() == 41
    assert CERTIFICATE.rows == 3


def test_pages_are_escaped() -> None:
    odd = "<script>alert(1)</script>"
    found = replace(CERTIFICATE, host=odd, label=odd, project=odd)

    assert odd.encode() not in page(found, None)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"", b"\xff", b'{"format": 2}'])
def test_what_is_none_is_named(content: bytes) -> None:
    with pytest.raises(PackageDamaged, match=r"certificate_format|x"):
        Certificate.from_json(content, "x")
