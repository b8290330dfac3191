"""Whether a package's sidecar counts where keys are trusted."""

from __future__ import annotations

from collections.abc import Sequence

from backup_tasks.errors import SignatureInvalid
from backup_tasks.package.sidecar import Sidecar


def is_trusted(sidecar: Sidecar, trusted: Sequence[str]) -> bool:
    """Return whether one of the trusted keys signed the sidecar; True where no key is trusted, as
    nobody asked for signatures then. Raises KeyMissing if one of `trusted` is no key."""
    if not trusted:
        return True
    if sidecar.signature is None or not sidecar.signature.isascii():
        return False
    try:
        sidecar.verify(trusted)
    except SignatureInvalid:
        return False
    return True
