"""Tells this system from others that make packages under the same project name."""

from __future__ import annotations

import re
import secrets

from backup_tasks.errors import Misconfigured
from backup_tasks.models import Installation


def this_installation() -> str:
    """Return this system's id: 16 hexadecimal digits, chosen when it is first asked for.

    It is kept with the ledger, so it is in no package and survives a restore. A database that was
    lost and made anew has another one.
    """
    row, _ = Installation.objects.get_or_create(this=True, defaults={"code": secrets.token_hex(8)})
    return row.code


def own_installations() -> set[str]:
    """Return the ids of this system and of those that it has taken over from."""
    rows = list(Installation.objects.all())
    found = {row.code for row in rows}
    return found if any(row.this for row in rows) else found | {this_installation()}


def adopt(code: str) -> None:
    """Count another installation's packages as this system's own from now on, for example after a
    disaster. Raises Misconfigured if it is not an id."""
    if re.fullmatch(r"[0-9a-f]{16}", code) is None:
        raise Misconfigured(
            "this is not the id of an installation",
            obj=code,
            hint="It has 16 hexadecimal digits; `prune_packages --dry-run` names it.",
        )
    this_installation()
    Installation.objects.get_or_create(code=code)
