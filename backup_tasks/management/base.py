"""What all commands have in common: `--json`, `--enqueue`, exit codes, the final table."""

from __future__ import annotations

import contextlib
import json
from abc import abstractmethod
from argparse import ArgumentTypeError
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from backup_tasks import ledger
from backup_tasks.conf import backup_settings
from backup_tasks.engines import require_database
from backup_tasks.error_classification import explain
from backup_tasks.errors import BackupError, ErrorRecord, Misconfigured, NotConfirmed
from backup_tasks.ledger.report import Report
from backup_tasks.management.progress import ProgressDisplay
from backup_tasks.management.tables import added_lines, counts_table, second_look_line
from backup_tasks.models import Run
from backup_tasks.runs import chains
from backup_tasks.runs.foreground import run_here


class Command(BaseCommand):
    """A command whose errors have exit codes, and whose stdout is one JSON object with `--json`."""

    needs_database: ClassVar[bool] = True
    """It reads or writes the project's database, or the ledger, so there must be one."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options that every command has."""
        parser.add_argument(
            "--json", action="store_true", help="Write one JSON object to stdout, nothing else."
        )
        self.add_options(parser)

    @abstractmethod
    def add_options(self, parser: CommandParser) -> None:
        """Add the command's own options."""

    @abstractmethod
    def perform(self, options: Mapping[str, Any]) -> None:
        """Do it, and tell about it with `tell`. Raises BackupError."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; an error becomes its exit code, and with `--json` an object on stdout."""
        self.as_json: bool = options["json"]
        self.run_id = ""
        try:
            if self.needs_database:
                require_database(backup_settings().database)
            self.perform(options)
        except (BackupError, DatabaseError, InterfaceError) as raised:
            error = explain(raised)
            if self.as_json:
                self._print_json(self._failure(error))
            raise CommandError(in_words(error), returncode=error.exit_code) from raised

    def tell(self, record: Mapping[str, Any], text: str) -> None:
        """Print the result: the record as JSON, or else the text. A record without `ok` is that of
        a success."""
        if self.as_json:
            self._print_json({"ok": True, "errors": [], **record})
        else:
            self.stdout.write(text)

    def _failure(self, error: BackupError) -> dict[str, Any]:
        run = None
        with contextlib.suppress(DatabaseError, InterfaceError):  # that may be what went wrong
            run = Run.objects.filter(pk=self.run_id).first() if self.run_id else None
        return {"ok": False, **outcome(run), "errors": [error.record()]}

    def _print_json(self, record: Mapping[str, Any]) -> None:
        self.stdout.write(json.dumps(record, ensure_ascii=False, default=str))


class RunCommand(Command):
    """A command that starts a run, here or with `--enqueue` on the workers, and reports it."""

    kind: str
    destructive = False
    """It replaces live data, so it wants `--confirm`."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options that every command has which starts a run."""
        super().add_arguments(parser)
        parser.add_argument(
            "--enqueue", action="store_true", help="Hand the run to the Celery workers."
        )
        if self.destructive:
            parser.add_argument(
                "--confirm", action="store_true", help="Yes, live data is to be replaced."
            )

    @abstractmethod
    def params(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the run's parameters, see `chains.PARAMS`."""

    def perform(self, options: Mapping[str, Any]) -> None:
        """Start the run; unless it is for the workers, execute it and report."""
        if self.destructive:
            self.require_confirmation(options)
        self.start(options)

    def start(self, options: Mapping[str, Any]) -> None:
        """Start the run; unless it is for the workers, execute it and report."""
        run = chains.start(
            self.kind,
            trigger="command",
            on_workers=options["enqueue"],
            params=self.params(options),
            confirmed="--confirm" if options.get("confirm") else "",
        )
        self.go_on(run)

    def require_confirmation(self, options: Mapping[str, Any]) -> None:
        """Raise NotConfirmed without `--confirm`; nobody is asked, terminal or not."""
        if not options["confirm"]:
            raise NotConfirmed(
                "this replaces live data, and it was not confirmed; nothing was touched",
                hint="Say --confirm to do it.",
            )

    def go_on(self, run: Run) -> None:
        """Enqueue the run, or execute it here and tell how it ended."""
        self.run_id = run.pk
        if run.on_workers:
            enqueue(run)
            text = f"{run.pk} is enqueued. `runs --watch` shows how it goes on."
            self.tell(outcome(run), text)
            return
        try:
            run = run_here(run, watcher=ProgressDisplay(self.stderr_stream()))
        except BackupError:
            self._explain_counts(ledger.find(run.pk))
            raise
        self.tell(outcome(run) | self.more(run), self._text(run))

    def stderr_stream(self) -> Any:
        """Return the stream that progress goes to."""
        return self.stderr._out

    def more(self, run: Run) -> dict[str, Any]:
        """Return what the JSON object says beyond what all runs say."""
        return {}

    def summary(self, run: Run) -> str:
        """Return the last line: what was done."""
        about = f": {run.package}" if run.package else ""
        return f"{run.pk} succeeded{about}"

    def _text(self, run: Run) -> str:
        report = cast(Report, run.report)
        warnings = [f"Warning: {line}" for line in report["warnings"]]
        added = added_lines(report["added"])
        chosen = f"Chosen: {report['chosen']}" if report.get("chosen") else ""
        figures = [counts_table(report), second_look_line(report)]
        lines = [*figures, *added, chosen, *warnings, self.summary(run)]
        return "\n".join(filter(None, lines))

    def _explain_counts(self, run: Run) -> None:
        if run.report and not self.as_json:
            report = cast(Report, run.report)
            for line in [counts_table(report), *(f"Warning: {w}" for w in report["warnings"])]:
                self.stderr.write(line)


def count(text: str) -> int:
    """The type of an option that says how many: a whole number from 1 to a million."""
    if not (text.isdecimal() and 1 <= len(text) <= 7 and 1 <= int(text) <= 1_000_000):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1,000,000")
    return int(text)


def said(text: str) -> str:
    """The type of an argument that must not be empty. A shell variable that is not set gives an
    empty one, which is not meant as the default."""
    if not text:
        raise ArgumentTypeError("it is empty; leave it out, or say what is meant")
    return text


def outcome(run: Run | None) -> dict[str, Any]:
    """Return what the JSON object of every run says: run, package, counts, files, warnings."""
    report = run.report if run else {}
    return {
        "run": (run.pk or None) if run else None,  # what was not recorded has no id
        "state": run.state if run else None,
        "package": (run.package or None) if run else None,
        "chosen": report.get("chosen"),
        "counts": {
            label: {key: value for key, value in figures.items() if key != "digest_equal"}
            for label, figures in report.get("models", {}).items()
        },
        "digests_equal": {
            label: figures["digest_equal"] for label, figures in report.get("models", {}).items()
        },
        "files": report.get("files"),
        "second_look": report.get("second_look"),
        "added": report.get("added", {}),
        "concurrent_writes": report.get("concurrent_writes", {}),
        "warnings": report.get("warnings", []),
    }


def enqueue(run: Run) -> None:
    """Hand the run to the workers. Celery is imported only here: without it, all else works."""
    try:
        from backup_tasks.tasks import hand_over
    except ImportError as error:
        raise Misconfigured(
            f"--enqueue needs Celery: {error}", hint="Leave --enqueue out: it runs here, then."
        ) from error
    hand_over(
        run,
        hint=f"`resume_run {run.pk} --enqueue` when the broker is back; `resume_run {run.pk}` runs "
        "it here, without the workers.",
    )


def in_words(error: BackupError) -> str:
    """Return the error as a person at a terminal reads it: what happened, to what, what to do."""
    record: ErrorRecord = error.record()
    subject = f"{error.obj}: " if error.obj and error.obj not in error.what else ""
    advice = f"\nHint: {error.hint}" if error.hint else ""
    return f"{subject}{record['what']}{advice}"
