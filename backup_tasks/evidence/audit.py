"""The audit trail: who started, confirmed, cancelled, pinned, deleted and changed what.

Each entry has the hash of the one before it, so none can be changed, removed or put in between
without breaking the chain behind it. The last entries could be cut off, or the whole chain be made
anew, by somebody who writes to the database: so each certificate, which is signed and lies
elsewhere, names the last entry of its time.

The table is one of the ledger's: it is in no package, and no restore touches it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC
from typing import Any, NamedTuple

from django.db import IntegrityError, OperationalError, connections, transaction

from backup_tasks import moments
from backup_tasks.conf import backup_settings
from backup_tasks.error_classification import is_deadlock
from backup_tasks.models import AuditEntry
from backup_tasks.printable import printable

_TRIES = 50
_SECRET = {"alert_secret", "monitoring_token"}
_SECRET_ADDRESSES = {"alert_webhooks", "alert_apprise", "pings"}
_START = "0" * 64
"""What the first entry has for the hash of the one before."""


class Anchor(NamedTuple):
    """The last entry of a moment: kept elsewhere, it proves all entries up to it."""

    position: int
    hash: str


def record(
    what: str, obj: str, *, through: str, by: str = "", details: Mapping[str, Any] | None = None
) -> AuditEntry:
    """Append an entry. `through` is command, admin, schedule, code or run; of a command `by` is the
    user of the operating system. Raises DatabaseError."""
    entry = AuditEntry(
        at=moments.now(),
        what=what,
        by=printable(by or (os_user() if through == "command" else ""))[:150],
        through=through,
        obj=printable(obj)[:255],
        details=_plain(details or {}),
    )
    database = backup_settings().database
    for _ in range(_TRIES):
        try:
            with transaction.atomic(using=database):
                if not connections[database].features.has_select_for_update:
                    # SQLite: a transaction that begins with a write waits for that of another; one
                    # that writes after it has read fails at once.
                    AuditEntry.objects.using(database).filter(position=0).update(what="")
                # Locked, a row is read as it is now, also in a transaction with a snapshot.
                last = AuditEntry.objects.select_for_update().order_by("-position").first()
                entry.position = last.position + 1 if last else 1
                entry.previous = last.hash if last else _START
                entry.hash = hash_of(entry)
                entry.save(using=database, force_insert=True)
        except IntegrityError:  # another process has taken the position
            continue
        except OperationalError as error:  # MariaDB, where two append to an empty table
            if connections[database].in_atomic_block or not is_deadlock(error):
                raise
            continue
        return entry
    raise IntegrityError(f"the audit trail was written to by others {_TRIES} times")


def hash_of(entry: AuditEntry) -> str:
    """Return the SHA-256 of all that an entry says, in hexadecimal digits."""
    said = {
        "position": entry.position,
        "at": entry.at.astimezone(UTC).isoformat(),
        "what": entry.what,
        "by": entry.by,
        "through": entry.through,
        "obj": entry.obj,
        "details": entry.details,
        "previous": entry.previous,
    }
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def broken() -> Iterator[str]:
    """Read the whole chain, and yield what is wrong with it, in words; nothing where it holds."""
    position, previous = 0, _START
    for entry in AuditEntry.objects.order_by("position").iterator(chunk_size=1000):
        if entry.position != position + 1:
            yield f"entries {position + 1} to {entry.position - 1} are missing"
        elif entry.previous != previous:
            yield f"entry {entry.position} does not follow the entry before it"
        if entry.hash != hash_of(entry):
            yield f"entry {entry.position} was altered"
        position, previous = entry.position, entry.hash


def anchor() -> Anchor | None:
    """Return the last entry's position and hash."""
    last = AuditEntry.objects.order_by("-position").values_list("position", "hash").first()
    return Anchor(*last) if last else None


def settings_seen(through: str) -> AuditEntry | None:
    """Record the settings where they are not those that were recorded last, by this host or, where
    it is new, by any; return the entry.

    Workers and web servers may have settings of their own, so each host is compared with itself.
    Secrets are recorded as a hash.
    """
    now = _settings()
    host = socket.gethostname()
    seen = AuditEntry.objects.filter(what="settings", through=through).order_by("-position")
    last = seen.filter(obj=host).first() or seen.first()
    before = last.details.get("settings", {}) if last else {}
    if before == now:
        return None
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    details = {"changed": changed if last else [], "settings": now}
    return record("settings", host, through=through, details=details)


def os_user() -> str:
    """Return the user of the operating system that this process runs as."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name belongs to the user id, as in many containers
        return f"user {os.getuid()}"


def _settings() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in asdict(backup_settings()).items():
        shown: Any = value
        if (name in _SECRET or name in _SECRET_ADDRESSES) and value:
            text = json.dumps(value, sort_keys=True, default=str)
            shown = f"secret, SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"
        found[name.upper()] = shown
    return _plain(found)


def _plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return details as the JSON of any database gives them back, or their hash would be another:
    to PostgreSQL 1e22 is a whole number, and NUL, half a character and NaN are refused."""
    text = json.dumps(details, default=str)
    plain: dict[str, Any] = _printable(json.loads(text, parse_float=_number, parse_constant=str))
    return plain


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _printable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {printable(key, keep="\n"): _printable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_printable(each) for each in value]
    return printable(value, keep="\n") if isinstance(value, str) else value
