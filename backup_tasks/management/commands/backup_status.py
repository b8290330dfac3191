"""`backup_status`: says whether the data is safe, for people and for monitors."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import CommandError, CommandParser

from backup_tasks.alerts.watch import not_looked, tell
from backup_tasks.errors import BackupError
from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import in_words, outcome, said
from backup_tasks.status import gather
from backup_tasks.status.conditions import age_text, judge
from backup_tasks.status.facts import Facts, Good, RecoveryPoint
from backup_tasks.status.light import Light, Reason, Status

_MARKS = {Light.RED: "✗", Light.AMBER: "!", Light.UNKNOWN: "?"}


class Command(Base):
    help = (
        "Say whether the data is safe. Exit codes are those of monitors: 0 ok, 1 warning, "
        "2 critical, 3 unknown. Works without a database; writes nothing without --notify."
    )
    needs_database = False  # the stores alone are judged where there is none

    judged = False

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--workers", action="store_true", help="Also ask the broker and the Celery workers."
        )
        parser.add_argument(
            "--notify",
            action="store_true",
            help="Send alerts about what is new or over since the last look.",
        )
        parser.add_argument(
            "--state",
            metavar="FILE",
            type=said,
            help="With --notify: remember there what was told, not in the workspace.",
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Run it. Whatever keeps it from an answer, a wrong option or setting too, is unknown: 1
        and 2 would be a warning and an alarm about the backups."""
        try:
            super().run_from_argv(argv)
        except SystemExit as end:
            if self.judged or end.code in (0, None):
                raise
            sys.exit(Light.UNKNOWN.exit_code)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Do it; an error of its own, or of a system check, is unknown."""
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            if not options["json"]:
                self.stdout.write(f"BACKUP {Light.UNKNOWN.word}: {_bare(str(error))}")
            raise CommandError(str(error), returncode=Light.UNKNOWN.exit_code) from error

    def perform(self, options: Mapping[str, Any]) -> None:
        try:
            facts = gather.of_stores(ask_workers=options["workers"])
        except BackupError as error:
            if options["notify"]:
                self._notify(not_looked(error), options)
            raise
        status = judge(facts)
        self.tell(_record(facts, status), "\n".join(_lines(facts, status)))
        self.judged = True
        unsent = self._notify(status, options) if options["notify"] else []
        if status.light is not Light.GREEN:
            _exit(status.light.exit_code)
        if unsent:
            _exit(Light.UNKNOWN.exit_code)

    def _notify(self, status: Status, options: Mapping[str, Any]) -> list[str]:
        """Send what changed; return what could not be sent, which is told on stderr."""
        try:
            path = Path(options["state"]).absolute() if options["state"] else None
            unsent = tell(status, path=path)
        except BackupError as error:
            unsent = [in_words(error)]
        for problem in unsent:
            self.stderr.write(f"Not told: {problem}")
        return unsent


def _exit(code: int) -> NoReturn:
    """End with a code and no message: the answer is on stdout, and it is no error."""
    sys.exit(code)


def _record(facts: Facts, status: Status) -> dict[str, Any]:
    return {
        **outcome(None),
        "ok": status.light is Light.GREEN,
        "status": status.light.word.lower(),
        "exit_code": status.light.exit_code,
        "reasons": [
            {
                "status": reason.light.word.lower(),
                "reason": reason.name,
                "what": reason.what,
                "remedy": reason.remedy,
            }
            for reason in status.reasons
        ],
        "recovery_points": [
            {
                "what": point.what,
                "last_good": _package(facts, point.good),
                "last_proven": _package(facts, point.proven),
            }
            for point in facts.points
        ],
        "recorded": facts.recorded,
        "asked_at": facts.now,
    }


def _package(facts: Facts, good: Good | None) -> dict[str, Any] | None:
    if good is None:
        return None
    return {
        "name": good.name,
        "store": good.store,
        "created_at": good.created_at,
        "age": int((facts.now - good.created_at).total_seconds()),
        "proven_at": good.proven_at,
    }


def _lines(facts: Facts, status: Status) -> Iterator[str]:
    """Yield what a person reads. The first line is all that some monitors show; what is behind its
    bar is for their graphs."""
    yield f"BACKUP {status.light.word}: {_headline(facts, status.reasons)}{_figures(facts)}"
    for reason in status.reasons:
        yield f"{_MARKS[reason.light]} {reason.light.word}: {_line(reason.what)}"
        if reason.remedy:
            yield f"    What to do: {_line(reason.remedy)}"
    for point in facts.points:
        yield _point(facts, point)
    if not facts.recorded:
        yield "The database did not answer: what the stores know is above; runs are not recorded."


def _headline(facts: Facts, reasons: Sequence[Reason]) -> str:
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        return f"{_bare(reasons[0].what)}{more}"
    return "; ".join(_bare(_point(facts, point)) for point in facts.points)


def _point(facts: Facts, point: RecoveryPoint) -> str:
    good, proven = point.good, point.proven
    made = f"{age_text(facts.now - good.created_at)} old ({good.name})" if good else "none"
    if proven is None or proven.proven_at is None:
        return f"Last good backup of the {point.what}: {made}; none is proven"
    age = age_text(facts.now - proven.proven_at)
    which = "" if good == proven else f" ({proven.name})"
    return f"Last good backup of the {point.what}: {made}; proven {age} ago{which}"


def _figures(facts: Facts) -> str:
    """Return the ages in seconds with their limits, as Nagios wants them."""
    warn = int(facts.limits.warn_after.total_seconds())
    critical = int(facts.limits.critical_after.total_seconds())
    found = []
    for point in facts.points:
        if point.good:
            age = int((facts.now - point.good.created_at).total_seconds())
            found.append(f"{point.what.replace(' ', '_')}_age={age}s;{warn};{critical}")
    return f" | {' '.join(found)}" if found else ""


def _line(text: str) -> str:
    return " ".join(text.split())


def _bare(text: str) -> str:
    """On the first line a bar begins the figures, so no text may have one."""
    return _line(text).replace("|", "/")
