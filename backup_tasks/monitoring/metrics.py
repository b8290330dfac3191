"""What Prometheus reads: the text format, written by hand.

A client library keeps counters in a process. These figures are those of the ledger and the stores,
the same in every process and made anew for each request, so nothing is left for a library to do.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.db.models import Count, Max

from backup_tasks import __version__
from backup_tasks.conf import backup_settings
from backup_tasks.models import Run
from backup_tasks.status import gather
from backup_tasks.status.conditions import CONDITIONS, judge
from backup_tasks.status.facts import Facts, Good
from backup_tasks.status.light import Light, Status
from backup_tasks.status.packages import Held, Looked, in_index

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One gauge, with a sample for each set of labels."""

    name: str
    help: str
    samples: Iterable[_Sample]

    def lines(self) -> Iterator[str]:
        """Yield its lines, none where it has no sample."""
        samples = list(self.samples)
        if samples:
            yield f"# HELP {self.name} {self.help}"
            yield f"# TYPE {self.name} gauge"
        for labels, value in samples:
            inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            yield f"{self.name}{f'{{{inside}}}' if inside else ''} {value:.17g}"


def exposition() -> str:
    """Return all metrics, from the index of packages, the ledger, and the disks. Raises
    LEDGER_ERRORS."""
    looked = in_index()
    facts = gather.of_index(looked)
    found = [*_of_light(facts, judge(facts)), *_of_packages(facts, looked), *_of_runs()]
    return "\n".join(line for metric in found for line in metric.lines()) + "\n"


def _of_light(facts: Facts, status: Status) -> Iterator[Metric]:
    info = {"project": backup_settings().project, "version": __version__}
    yield Metric(name="backup_info", help="Always 1.", samples=[(info, 1)])
    yield Metric(
        name="backup_status",
        help="Whether the data is safe: 1 for the light that there is now.",
        samples=[({"status": light.word.lower()}, float(light is status.light)) for light in Light],
    )
    yield Metric(
        name="backup_reasons",
        help="Why the light is not green: how many objects each condition holds for.",
        samples=[
            (
                {"reason": each.name, "status": each.light.word.lower()},
                sum(reason.name == each.name for reason in status.reasons),
            )
            for each in CONDITIONS
            if each.name not in status.unasked
        ],
    )
    yield Metric(
        name="backup_limit_seconds",
        help="Ages from which the light is not green.",
        samples=[
            ({"limit": name}, getattr(facts.limits, name).total_seconds())
            for name in ("warn_after", "critical_after", "proof_within")
        ],
    )
    seen = facts.beat_seen_at
    yield Metric(
        name="backup_beat_seen_timestamp_seconds",
        help="When beat and a worker last did something together.",
        samples=[({}, seen.timestamp())] if seen else [],
    )


def _of_packages(facts: Facts, looked: Looked) -> Iterator[Metric]:
    moments: dict[str, list[_Sample]] = {"good": [], "proven": []}
    for point in facts.points:
        for what in ("rows", "files"):
            if what in point.what:
                _add(moments["good"], what, point.good)
                _add(moments["proven"], what, point.proven)
    yield Metric(
        name="backup_last_good_timestamp_seconds",
        help="When the last good backup was made: the recovery point.",
        samples=moments["good"],
    )
    yield Metric(
        name="backup_last_proven_timestamp_seconds",
        help="When the newest backup was made that a restore or a drill proved.",
        samples=moments["proven"],
    )
    held = {alias: looked.held.get(alias, Held()) for alias in _stores()}
    yield Metric(
        name="backup_packages",
        help="Packages in a store.",
        samples=[({"store": alias}, found.packages) for alias, found in held.items()],
    )
    yield Metric(
        name="backup_packages_bytes",
        help="Size of the packages in a store.",
        samples=[({"store": alias}, found.size) for alias, found in held.items()],
    )
    disks = [({"folder": disk.folder}, disk) for disk in facts.disks]
    yield Metric(
        name="backup_disk_free_bytes",
        help="Free space of the disks that backups are written to.",
        samples=[(labels, disk.free) for labels, disk in disks],
    )
    yield Metric(
        name="backup_disk_needed_bytes",
        help="What a backup like the last good one writes there.",
        samples=[(labels, disk.needed) for labels, disk in disks],
    )


def _of_runs() -> Iterator[Metric]:
    groups = list(
        Run.objects.order_by()
        .values("kind", "state")
        .annotate(n=Count("pk"), at=Max("finished_at"))
    )
    yield Metric(
        name="backup_runs",
        help="Runs in the ledger.",
        samples=[(_which(each), each["n"]) for each in groups],
    )
    yield Metric(
        name="backup_run_finished_timestamp_seconds",
        help="When the last run of a kind ended in a state.",
        samples=[(_which(each), each["at"].timestamp()) for each in groups if each["at"]],
    )
    ends = {each["kind"]: each["at"] for each in groups if each["state"] == Run.State.SUCCEEDED}
    done = Run.objects.filter(
        state=Run.State.SUCCEEDED, finished_at__in=set(ends.values()) - {None}
    )
    lengths: list[_Sample] = [
        ({"kind": run.kind}, (run.finished_at - run.started_at).total_seconds())
        for run in done.only("kind", "started_at", "finished_at")
        if run.started_at and run.finished_at and ends.get(run.kind) == run.finished_at
    ]
    yield Metric(
        name="backup_run_duration_seconds",
        help="How long the last run of a kind took that succeeded. Of a drill: the recovery time.",
        samples=sorted(lengths, key=lambda sample: sample[0]["kind"]),
    )


def _which(group: Mapping[str, str]) -> dict[str, str]:
    return {"kind": group["kind"], "state": group["state"]}


def _add(samples: list[_Sample], what: str, good: Good | None) -> None:
    if good:
        samples.append(({"what": what}, good.created_at.timestamp()))


def _stores() -> list[str]:
    return list(backup_settings().stores)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
