"""A certificate as a page of HTML: complete in itself, with a signature over all of its bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from django.template import Context, Engine

from backup_tasks.package import signature
from backup_tasks.package.certificate import Certificate, not_signed, signer
from backup_tasks.package.damage import damaged

_PURPOSE = b"backup_tasks certificate as HTML 1\n"
_LAST_LINE = re.compile(
    rb"<!-- backup_tasks certificate, signed by "
    rb"(backup-public-key:[A-Za-z0-9+/=]+): ([A-Za-z0-9+/=]+) -->\n\Z"
)
_UNSIGNED = b"<!-- backup_tasks certificate, not signed -->\n"


def pages() -> Engine:
    """Return the engine of our own templates: a worker's project may have none."""
    return Engine(dirs=[str(Path(__file__).parent / "pages")], autoescape=True)


def page(certificate: Certificate, key: str | None) -> bytes:
    """Return the page, signed where there is a secret key. Raises KeyMissing if that is no key."""
    context = Context({"certificate": certificate})
    body = pages().get_template("certificate.html").render(context).encode()
    if key is None:
        return body + _UNSIGNED
    signed = signature.sign(_PURPOSE + body, key)
    by = signature.public_key(key)
    return body + f"<!-- backup_tasks certificate, signed by {by}: {signed} -->\n".encode()


def is_page(content: bytes) -> bool:
    """Whether it is a page and not JSON."""
    return content.lstrip()[:1] == b"<"


def verify_page(content: bytes, where: str, trusted: Sequence[str]) -> str:
    """Return the trusted public key that signed the page, as one line.

    Raises PackageDamaged where it has no last line as we write it, SignatureInvalid, KeyMissing.
    """
    if content.endswith(_UNSIGNED):
        raise not_signed(where)
    found = _LAST_LINE.search(content)
    if found is None:
        raise damaged("the page does not end with a signature", obj=where)
    body = _PURPOSE + content[: found.start()]
    return signer(body, found[2].decode(), found[1].decode(), trusted, of=where)
