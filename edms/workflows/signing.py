"""Electronic signatures: which moves need one, who gave it, and on which file."""

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils import timezone

from edms.documents.models import Document, DocumentVersion
from edms.documents.services import facts_of
from edms.users.models import User
from edms.users.passwords import is_own_password
from edms.workflows.errors import Incomplete
from edms.workflows.models import DocumentTransition, ElectronicSignature

Meaning = ElectronicSignature.Meaning

MEANINGS: Final = {"approved": Meaning.APPROVED, "effective": Meaning.RELEASED}
"""What the signature means that a move to a state needs; other moves need none."""


@dataclass(frozen=True, kw_only=True)
class Signing:
    """Somebody gave their password again in order to sign with this meaning."""

    signer: User
    meaning: Meaning
    time_zone: str


def confirmed(request: HttpRequest, password: str, meaning: Meaning) -> Signing | None:
    """Return the signed-in person's will to sign; None where the password is wrong.

    A wrong one counts as a failed attempt to sign in.
    """
    user = request.user
    if not isinstance(user, User) or not is_own_password(request, password):
        return None
    return Signing(signer=user, meaning=meaning, time_zone=timezone.get_current_timezone_name())


def check(to_state: str, document: Document, by: User, signing: Signing | None) -> None:
    """Raise Incomplete where a move to this state needs a signature, and this one is none.

    The file is read: what is signed is what is stored, not only what is on record.
    """
    if to_state not in MEANINGS:
        return
    meaning = MEANINGS[to_state]
    if signing is None or (signing.signer, signing.meaning) != (by, meaning):
        raise Incomplete(f"This is signed as “{meaning.label}”: give your password.")
    version = signed_version(document)
    try:
        with version.file.open("rb") as file:
            stored = facts_of(file).sha256
    except FileNotFoundError as error:
        raise Incomplete(f"The file {version.file.name} is missing: it can't be signed.") from error
    if stored != version.sha256:
        raise Incomplete(
            f"The file {version.file.name} is not the one on record (its SHA-256 is {stored}): "
            "it can't be signed. Tell an administrator."
        )


def signed_version(document: Document) -> DocumentVersion:
    """Return the version that a signature is for: the newest. Raises Incomplete without any."""
    version: DocumentVersion | None = document.versions.order_by("-position").first()
    if version is None:
        raise Incomplete(f"{document.document_number} has no file that could be signed.")
    return version


def sign(made: DocumentTransition, signing: Signing) -> ElectronicSignature:
    """Write the signature of a move that was just made."""
    version, signer = signed_version(made.workflow.document), signing.signer
    local = made.made_at.astimezone(ZoneInfo(signing.time_zone))
    signature: ElectronicSignature = ElectronicSignature.objects.create(
        transition=made,
        version=version,
        signer=signer,
        meaning=signing.meaning,
        printed_name=f"{signer} ({signer.username})",
        version_number=version.number,
        sha256=version.sha256,
        signed_at=made.made_at,
        local_time=f"{local.isoformat(sep=' ', timespec='seconds')} {signing.time_zone}",
    )
    return signature
