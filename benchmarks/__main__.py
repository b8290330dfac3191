"""`python -m benchmarks`: measure, and write the page."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, page
from benchmarks.measuring import BenchmarkFailed, Server
from benchmarks.rounds import Measured, Sizes, measure_postgres, measure_sqlite
from benchmarks.verdicts import bars, figures, steps
from edms.local.errors import ServiceUnavailable
from edms.local.instance import ROOT
from edms.local.postgres import PostgresServer, postgres_server
from edms.local.processes import stopping_on_signals

_FEW = 7_700
"""Documents with some 100,000 rows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 if everything was measured, whatever the figures say."""
    options = _parser().parse_args(arguments)
    sizes = Sizes(
        documents=options.documents,
        few=options.few or max(50, min(options.documents // 13, _FEW)),
        sample=options.sample,
        repeats=options.repeats,
    )
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.scratch))
    try:
        with stopping_on_signals(), postgres_server() as server:
            findings = _measured(sizes, server, folder, dbbackup=options.dbbackup)
    except (BenchmarkFailed, ServiceUnavailable) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = page.written(findings)
    options.output.write_text(text)
    print(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000, help="13 rows or so each")
    parser.add_argument(
        "--few", type=int, help="documents of the small data set that memory is compared with"
    )
    parser.add_argument("--sample", type=int, default=500, help="documents for dumpdata, loaddata")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dbbackup", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--output", type=Path, default=ROOT / "docs/performance.md")
    parser.add_argument("--scratch", type=Path, help="folder for data; needs some gigabytes")
    return parser


def _measured(
    sizes: Sizes, server: PostgresServer, folder: Path, *, dbbackup: bool
) -> page.Findings:
    before = machine.load()
    watched = Server.at(server.url)
    found: Measured = measure_postgres(sizes, server, watched, folder, dbbackup=dbbackup)
    on_sqlite = measure_sqlite(sizes, folder / "sqlite")
    notes = list(found.notes)
    notes.append(
        f"The machine had other work as well: its load was {before} at the start and "
        f"{machine.load()} at the end, for {os.cpu_count()} processors."
    )
    if watched.postmaster is None:
        notes.append("The server's processes could not be looked at: CPU lacks its share.")
    return page.Findings(
        command=f'make bench BENCH="--documents {sizes.documents} --repeats {sizes.repeats}"',
        machine=list(machine.described(server.url)),
        data=[*found.data, *on_sqlite.data, f"{sizes.repeats} repeats."],
        lines=[*figures(found), *figures(on_sqlite)],
        steps=steps(found),
        bars=bars(found, on_sqlite),
        notes=notes,
    )


if __name__ == "__main__":
    sys.exit(main())
