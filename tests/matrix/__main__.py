"""`make matrix`: the tests on other versions than those of the lock file, and a table of what ran.

Each combination of packages gets a virtual environment of its own in a temporary folder; each
server is the one that the tests find first on PATH. What can't be had here (no interpreter, no
package) is in the table as not run. Rows of combinations that were not asked for stay.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PathDistribution
from pathlib import Path

from tests.matrix import servers

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "versions.md"
MARK = "<!-- written by make matrix -->\n"
TESTS = ("tests/unit", "tests/integration/rows", "tests/acceptance/test_cycle.py")
SERVER_TESTS = (
    *("tests/integration/engines", "tests/integration/rows"),
    *("tests/acceptance/test_cycle.py", "tests/acceptance/test_merge_conflicts.py"),
)
SHOWN = ("Django", "celery", "django-celery-results")
HEAD = ("combination", "Python", *SHOWN, "server", "run on", "tests", "result")
LOWEST = (
    "Django==5.2",
    "celery==5.4.0",
    "cryptography==42.0.0",
    "django-celery-results==2.6.0",
    "kombu==5.4.2",  # Celery 5.4 takes later ones too, and with its redis-py they do not start
    "orjson==3.10.0",
    "pyrage==1.2.1",
    "zstandard==0.22.0",
)
"""The lower bounds of pyproject.toml."""

OF_THE_EDMS = "ignore:The EMAIL_"
"""The EDMS is pinned to Django 5.2, and has its settings of mail, which 6.1 deprecates."""
NEEDED = (
    *("celery[redis]", "cryptography", "django-celery-results", "orjson", "pyrage", "zstandard"),
    *("PyMySQL", "django-storages[s3]", "psycopg[binary]"),
    *("django-axes", "flower", "gunicorn", "redis", "whitenoise"),
)
"""What the app, its extras and the EDMS need, without the versions that the EDMS is pinned to."""


class NotRun(Exception):
    """Why a combination can't be had here."""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Packages that are installed together, or a server that the tests use."""

    name: str
    python: str = ""
    pins: Sequence[str] = ()
    server: str = ""
    """postgres or mariadb, as the tests call it."""
    version: str = ""
    """PostgreSQL's major version; for MariaDB the suite of Debian that has it."""


COMBINATIONS = (
    Combination(name="python-3.11", python="3.11", pins=LOWEST),
    Combination(name="python-3.12", python="3.12", pins=["Django~=6.0.0"]),
    Combination(name="python-3.13", python="3.13", pins=["Django~=6.1.0"]),
    Combination(name="python-3.14", python="3.14", pins=["Django~=6.1.0"]),
    *(
        Combination(name=f"postgresql-{major}", server="postgres", version=major)
        for major in ("14", "16", "17", "18")
    ),
    Combination(name="mariadb-11.8", server="mariadb", version="trixie"),
)


def interpreter(version: str, folder: Path) -> Path:
    """Return a Python of that version: on PATH, among pyenv's, or Debian's newest. Raises
    NotRun."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{version}")
    found = [Path(on_path)] if on_path else []
    for python in [*found, *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        said = subprocess.run([python, "--version"], check=False, capture_output=True, text=True)
        if said.stdout.startswith(f"Python {version}."):  # a shim of pyenv may lead nowhere
            return python
    if (unpacked := servers.python(version, folder / "python")) is None:
        raise NotRun("no such Python here")
    return unpacked


def environment(combination: Combination, folder: Path) -> Path:
    """Make the virtual environment of a combination; return its Python. Raises NotRun."""
    uv, home = str(Path(sys.executable).with_name("uv")), folder / "venv"
    python = interpreter(combination.python, folder)
    subprocess.run([uv, "venv", "--quiet", "--python", python, home], check=True)
    of_environment = home / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", str(of_environment)]
    groups = [f"--group={group}" for group in ("dev", "embedded")]
    done = subprocess.run([*install, *groups, *NEEDED, *combination.pins], check=False, cwd=ROOT)
    if done.returncode:
        raise NotRun("could not be installed")
    return of_environment


def programs(combination: Combination, folder: Path) -> Path:
    """Return the folder with the programs of a combination's server. Raises NotRun."""
    of_kind = {"postgres": servers.postgresql, "mariadb": servers.mariadb}[combination.server]
    if (found := of_kind(combination.version, folder)) is None:
        raise NotRun("no such server here")
    return found


def installed(python: Path) -> list[str]:
    """Return the versions of what is shown."""
    packages = next(python.parents[1].glob("lib/python*/site-packages"))
    return [
        next(
            PathDistribution(dist).version
            for dist in packages.glob("*.dist-info")
            if dist.name.lower().startswith(f"{name.lower().replace('-', '_')}-")
        )
        for name in SHOWN
    ]


def run(combination: Combination, folder: Path, tests: Sequence[str]) -> list[str]:
    """Return the cells of the combination's row: versions, then what came of it."""
    env, chosen, server = dict(os.environ), list(tests or TESTS), "–"
    python = Path(sys.executable)
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    try:
        if combination.server:
            found = programs(combination, folder)
            env["PATH"] = f"{found}{os.pathsep}{env['PATH']}"
            chosen = [*(tests or SERVER_TESTS), "-k", combination.server]
            server = version_of(found)
        else:
            python = environment(combination, folder)
    except NotRun as why:
        blank = ["–"] * (len(SHOWN) + 1)
        return [combination.name, *blank, server, when, "–", f"not run: {why}"]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", OF_THE_EDMS]
    command += ["--numprocesses", "2", "--dist", "loadfile", *chosen]
    log = subprocess.run(
        command, check=False, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    ).stdout
    print(log, flush=True)
    summary = re.findall(r"^\d+ (?:passed|failed|error).*?(?= in )", log, re.MULTILINE)
    said = subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout
    result = summary[-1] if summary else "did not start"
    versions = [said.split()[1], *installed(python)]
    return [combination.name, *versions, server, when, f"`{' '.join(chosen)}`", result]


def version_of(folder: Path) -> str:
    """Return the version of the server whose programs are in the folder."""
    program = next(folder / name for name in ("postgres", "mariadbd") if (folder / name).exists())
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    (version,) = re.findall(r"(?<=[ ])\d+(?:\.\d+)+", said)[:1]
    return f"{'PostgreSQL' if program.name == 'postgres' else 'MariaDB'} {version}"


def write(rows: Sequence[Sequence[str]]) -> None:
    """Write the rows into the page's table, in place of those of the same combinations."""
    above, _, below = PAGE.read_text(encoding="utf-8").partition(MARK)
    known = {
        cells[0]: cells
        for line in below.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == len(HEAD)
    }
    known |= {row[0]: list(row) for row in rows}
    table = [HEAD, ["---"] * len(HEAD), *(known[c.name] for c in COMBINATIONS if c.name in known)]
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in table)
    PAGE.write_text(f"{above}{MARK}\n{lines}\n", encoding="utf-8")


def main() -> None:
    """Run the combinations, and write each row when it is there. Ends with 1 if tests failed."""
    parser = argparse.ArgumentParser(prog="make matrix")
    names = [combination.name for combination in COMBINATIONS]
    parser.add_argument("--only", action="append", choices=names, help="may be repeated")
    parser.add_argument("tests", nargs="*", help="default: what the table says")
    asked = parser.parse_args()
    rows = []
    for combination in COMBINATIONS:
        if not asked.only or combination.name in asked.only:
            with tempfile.TemporaryDirectory(prefix="edms-matrix-") as folder:
                Path(folder).chmod(0o755)  # PostgreSQL runs as another user
                rows.append(run(combination, Path(folder), asked.tests))
            print(" | ".join(rows[-1]), flush=True)
            write(rows)
    sys.exit(any(re.search("failed|error|did not", row[-1]) is not None for row in rows))


if __name__ == "__main__":
    main()
