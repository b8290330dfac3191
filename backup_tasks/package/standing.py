"""A package's standing: what tests found out about it, and whether it is pinned.

The ledger keeps it by the package's SHA-256. A copy lies beside the package in the store, in
`NAME.standing`, so that a ledger that is made anew knows it; it is signed as a sidecar is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from backup_tasks.errors import SignatureInvalid
from backup_tasks.package import names, signature, strict
from backup_tasks.package.damage import damaged

Test = Literal["bytes", "contents", "restore"]
"""What was tried: `bytes`, that the package has the SHA-256 of its sidecar; `contents`, that every
row and file is what the manifest says; `restore`, that staging was equal to it."""

TESTS: tuple[Test, ...] = get_args(Test)
"""Weakest first: a test that a package passed stands for those before it too."""

STANDING_LIMIT = 1 << 16
"""Bytes of the largest copy that is read."""

_FORMAT = 1
WHY_LIMIT = 2000
"""Characters of the longest reason of a verdict."""

_PURPOSE = b"backup_tasks standing 1\n"
"""Signed along, so that a signature for anything else can't be passed off as one for a standing."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one test of a package ended."""

    test: Test
    passed: bool
    at: datetime
    run: str = ""
    """The run that tested it."""
    why: str = ""
    """What was wrong; empty where it passed."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """Whether somebody wants the package kept, whatever the retention says."""

    pinned: bool
    at: datetime
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known of the package with this SHA-256."""

    sha256: str
    verdicts: tuple[Verdict, ...] = ()
    """The last one of each test and outcome."""
    pin: Pin | None = None

    @property
    def failure(self) -> Verdict | None:
        """The last failure that no later success has cleared. A test clears the failures of its own
        kind and of weaker ones: that every byte is there does not mean that it restores."""
        passed = [verdict for verdict in self.verdicts if verdict.passed]
        standing = [
            failed
            for failed in self.verdicts
            if not failed.passed
            and not any(
                later.at > failed.at and TESTS.index(later.test) >= TESTS.index(failed.test)
                for later in passed
            )
        ]
        return max(standing, key=lambda verdict: verdict.at, default=None)

    @property
    def verified_at(self) -> datetime | None:
        """When its content was last read back and found to be what the manifest says."""
        return self._passed("contents")

    @property
    def drilled_at(self) -> datetime | None:
        """When it was last restored and found equal."""
        return self._passed("restore")

    @property
    def proven(self) -> bool:
        """Whether it was restored and found equal, and nothing was found wrong with it since."""
        return self.drilled_at is not None and self.failure is None

    @property
    def pinned(self) -> bool:
        """Whether it is pinned now."""
        return self.pin is not None and self.pin.pinned

    def _passed(self, test: Test) -> datetime | None:
        moments = [each.at for each in self.verdicts if each.passed and each.test == test]
        return max(moments, default=None)

    def merged(self, verdicts: Iterable[Verdict], pin: Pin | None) -> Standing:
        """Return this with what is newer: the last verdict of each test and outcome, and pin."""
        latest: dict[tuple[Test, bool], Verdict] = {}
        for verdict in sorted([*self.verdicts, *verdicts], key=lambda verdict: verdict.at):
            latest[verdict.test, verdict.passed] = verdict
        pins = sorted(filter(None, [self.pin, pin]), key=lambda pin: pin.at)
        return Standing(
            sha256=self.sha256,
            verdicts=tuple(latest[key] for key in sorted(latest)),
            pin=pins[-1] if pins else None,
        )

    def to_json(self, key: str | None) -> bytes:
        """Return the copy for the store, signed where there is a secret key. Raises KeyMissing if
        that is no key."""
        record = _record(self)
        signed: dict[str, Any] = {"signed_by": None, "signature": None}
        if key is not None:
            signed["signature"] = signature.sign(_canonical(record), key)
            signed["signed_by"] = signature.public_key(key)
        return json.dumps(record | signed, indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes, where: str, *, trusted: Sequence[str]) -> Standing:
        """Return the standing in a copy; `where` is its file name, for errors.

        Raises PackageDamaged for anything missing, unknown or of another form; SignatureInvalid
        where keys are trusted and none of them signed it.
        """
        record = strict.parse(content, where)
        if record.count("format") != _FORMAT:
            raise damaged("the standing is of an unknown format", obj=where)
        standing = cls(
            sha256=record.sha256("sha256"),
            verdicts=tuple(_verdict(each) for each in record.records("verdicts")),
            pin=None if record.is_null("pin") else _pin(record.record("pin")),
        )
        record.text_or_none("signed_by")
        signed = record.text_or_none("signature")
        record.done()
        if trusted:
            if signed is None or not signed.isascii():
                raise SignatureInvalid("the standing is not signed", obj=where)
            signature.verify(_canonical(_record(standing)), signed, trusted)
        return standing


def standing_name(package: str) -> str:
    """Return the name of the file with a package's standing: `NAME.standing` for `NAME.tar.zst`."""
    return names.sidecar_name(package).removesuffix(".json") + ".standing"


def _record(standing: Standing) -> dict[str, Any]:
    pin = standing.pin
    return {
        "format": _FORMAT,
        "sha256": standing.sha256,
        "verdicts": [
            {
                "test": verdict.test,
                "passed": verdict.passed,
                "at": _utc(verdict.at),
                "run": verdict.run,
                "why": verdict.why[:WHY_LIMIT],
            }
            for verdict in standing.verdicts
        ],
        "pin": pin
        and {"pinned": pin.pinned, "at": _utc(pin.at), "by": pin.by, "reason": pin.reason},
    }


def _canonical(record: Mapping[str, Any]) -> bytes:
    return _PURPOSE + json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def _verdict(record: strict.Record) -> Verdict:
    verdict = Verdict(
        test=cast("Test", record.one_of("test", TESTS)),
        passed=record.flag("passed"),
        at=_moment(record),
        run=_storable(record, "run", 64),
        why=_storable(record, "why", WHY_LIMIT),
    )
    record.done()
    return verdict


def _pin(record: strict.Record) -> Pin:
    pin = Pin(
        pinned=record.flag("pinned"),
        at=_moment(record),
        by=_storable(record, "by", 150),
        reason=_storable(record, "reason", WHY_LIMIT),
    )
    record.done()
    return pin


def _storable(record: strict.Record, key: str, limit: int) -> str:
    """A text that every database can hold."""
    text = record.text(key)
    if len(text) > limit or "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise record.wrong(key, f"a text of at most {limit} letters")
    return text


def _moment(record: strict.Record) -> datetime:
    return datetime.fromisoformat(record.utc("at")).astimezone(UTC)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
