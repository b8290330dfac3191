"""`backup_report`: a month of backups, proofs and restores, for an auditor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backup_tasks.errors import StorageRefused
from backup_tasks.evidence.report import Report, report_of
from backup_tasks.management.base import Command as Base
from backup_tasks.management.base import said
from backup_tasks.package.streams import written_whole


class Command(Base):
    help = "Report a month: nights, proofs, restores, who did what, and the targets."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--month", required=True, type=said, metavar="YYYY-MM")
        parser.add_argument(
            "--output", type=said, metavar="FILE", help="Write the HTML there, not to stdout."
        )

    def perform(self, options: Mapping[str, Any]) -> None:
        report = report_of(options["month"])
        text = report.html()
        if options["output"]:
            path = Path(options["output"])
            try:
                with written_whole(path) as file:
                    file.write(text.encode())
            except OSError as error:
                raise StorageRefused(
                    f"the report can't be written: {error}",
                    obj=str(path),
                    hint="Name a file in a folder that exists and that you may write to.",
                ) from error
            text = "\n".join(_summary(report, path))
        self.tell(_record(report), text)


def _summary(report: Report, path: Path) -> Iterator[str]:
    yield f"The report of {report.month.first:%Y-%m} is in {path}"
    gap = report.longest_gap
    met = "met" if report.recovery_point_met else "not met"
    worst = f"{gap} at its worst" if gap is not None else "no backup of all succeeded"
    yield f"  recovery point: {worst}, target {report.recovery_point_target}: {met}"
    if report.longest_drill is not None:
        target = report.recovery_time_target
        told = {True: ": met", False: ": not met", None: ""}[report.recovery_time_met]
        yield f"  recovery time: {report.longest_drill} at its worst, target {target}{told}"
    yield f"  days without a backup of all: {len(report.missed)}; proofs: {len(report.proofs)}"
    yield f"  restores, resets and undos: {len(report.restores)}; failures: {len(report.failures)}"


def _record(report: Report) -> dict[str, Any]:
    def seconds(length: Any) -> float | None:
        return None if length is None else length.total_seconds()

    return {
        "month": f"{report.month.first:%Y-%m}",
        "missed": report.missed,
        "proofs": [asdict(each) for each in report.proofs],
        "restores": [asdict(each) for each in report.restores],
        "failures": [asdict(each) for each in report.failures],
        "recovery_point": {
            "worst": seconds(report.longest_gap),
            "target": seconds(report.recovery_point_target),
            "met": report.recovery_point_met,
        },
        "recovery_time": {
            "worst": seconds(report.longest_drill),
            "target": seconds(report.recovery_time_target),
            "met": report.recovery_time_met,
        },
        "chain": {"breaks": report.breaks, "last": report.anchor and report.anchor._asdict()},
    }
