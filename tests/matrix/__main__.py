"""`make matrix`: the tests on other versions than those of the lock file, and a table of what ran.

Each combination of packages gets a virtual environment of its own in a temporary folder; each
server is the one that the tests find first on PATH. What can't be had here (no interpreter, no
package) is in the table as not run. Rows of combinations that were not asked for stay.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PathDistribution
from pathlib import Path

from edms.local.errors import ServiceUnavailable
from edms.local.mariadb import FOLDERS
from edms.local.postgres import find_programs
from tests.matrix import servers

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "versions.md"
MARK = "<!-- written by make matrix -->\n"
SERVER_TESTS = (
    *("tests/integration/engines", "tests/integration/rows", "tests/integration/merge"),
    *("tests/acceptance/test_cycle.py", "tests/acceptance/test_merge_conflicts.py"),
    *("tests/acceptance/test_added_by_hand.py", "tests/acceptance/test_mariadb_as_found.py"),
)
TESTS = (
    *("tests/unit/admin", "tests/unit/checks", "tests/unit/package", "tests/unit/rows"),
    *("tests/integration/engines", "tests/integration/rows", "tests/acceptance/test_cycle.py"),
)
POSTGRESQL_TESTS = "postgres or not (sqlite or mariadb)"
"""Tests of no engine are PostgreSQL's own, too."""
REFUSAL_TESTS = ("tests/integration/engines/test_unsupported.py", "-k", "mysql")
SHOWN = ("Django", "celery", "django-celery-results")
HEAD = ("combination", "Python", *SHOWN, "servers", "run on", "tests", "result")
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
    """What the tests run on, where it differs from this machine and the lock file."""

    name: str
    python: str = ""
    """Version of an environment of its own; "": the lock file's."""
    pins: Sequence[str] = ()
    """Packages that are installed in it together with NEEDED."""
    without: str = ""
    """A package that refuses these pins, and that these tests do not need."""
    postgresql: str = ""
    """Major version."""
    mariadb: str = ""
    """The suite of Debian that has it."""
    mysql: str = ""
    """The same. It is refused."""

    @property
    def tests(self) -> list[str]:
        """What runs: on the lock file's packages only what a server matters to."""
        if self.python:
            return list(TESTS)
        if self.mysql:
            return list(REFUSAL_TESTS)
        return [*SERVER_TESTS, "-k", POSTGRESQL_TESTS if self.postgresql else "mariadb"]


COMBINATIONS = (
    Combination(name="python-3.11", python="3.11", pins=LOWEST, postgresql="14"),
    Combination(name="python-3.12", python="3.12", pins=["Django~=6.0.0"], postgresql="16"),
    Combination(
        name="python-3.13",
        python="3.13",
        pins=["Django~=6.1.0"],
        without="django-celery-beat",
        postgresql="17",
        mariadb="trixie",
    ),
    Combination(
        name="python-3.14",
        python="3.14",
        pins=["Django~=6.1.0"],
        without="django-celery-beat",
        postgresql="18",
    ),
    Combination(name="postgresql-18", postgresql="18"),
    Combination(name="mariadb-11.8", mariadb="trixie"),
    Combination(name="mysql-9.7", mysql="sid"),
)
"""Pairs that Django allows: 6.0 and 6.1 need Python 3.12, 6.1 needs PostgreSQL 15."""


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
    (excluded := folder / "excluded.txt").write_text(combination.without)
    install += ["--excludes", str(excluded)]
    done = subprocess.run([*install, *groups, *NEEDED, *combination.pins], check=False, cwd=ROOT)
    if done.returncode:
        raise NotRun("could not be installed")
    return of_environment


def programs(combination: Combination, folder: Path) -> list[Path]:
    """Return the folders with the programs of a combination's servers. Raises NotRun."""
    found = []
    for version, unpacked in (
        (combination.postgresql, servers.postgresql),
        (combination.mariadb, servers.mariadb),
        (combination.mysql, servers.mysql),
    ):
        if version:
            (own := folder / unpacked.__name__).mkdir()
            found.append(unpacked(version, own))
    if None in found:
        raise NotRun("no such server here")
    return [each for each in found if each is not None]


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
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    try:
        paths = map(str, programs(combination, folder))
        python = environment(combination, folder) if combination.python else Path(sys.executable)
    except NotRun as why:
        blank = ["–"] * (len(SHOWN) + 2)
        return [combination.name, *blank, when, "–", f"not run: {why}"]
    env = {**os.environ, "PATH": os.pathsep.join([*paths, os.environ["PATH"]])}
    chosen = list(tests) or combination.tests
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", OF_THE_EDMS]
    command += ["--numprocesses", "2", "--dist", "loadfile", *chosen]
    log = []
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as tested:
        for line in tested.stdout or ():
            print(line, end="", flush=True)
            log.append(line)
    summary = re.findall(r"^\d+ (?:passed|failed|error).*?(?= in )", "".join(log), re.MULTILINE)
    said = subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout
    result = summary[-1] if summary else "did not start"
    versions = [
        said.split()[1],
        *installed(python),
        ", ".join(server_versions(combination, env["PATH"])),
    ]
    return [combination.name, *versions, when, f"`{shlex.join(chosen)}`", result]


def server_versions(combination: Combination, path: str) -> Iterator[str]:
    """Yield the servers that tests with that PATH find first, with their versions."""
    programs = {"PostgreSQL": "postgres", "MariaDB": "mariadbd"}
    if combination.mysql:
        programs = {"MySQL": "mysqld"}
    with suppress(ServiceUnavailable):
        path += f"{os.pathsep}{find_programs()}"
    for name, program in programs.items():
        if found := shutil.which(program, path=f"{path}{os.pathsep}{FOLDERS}"):
            said = subprocess.run([found, "--version"], check=True, capture_output=True, text=True)
            yield f"{name} {re.findall(r'(?<=[ ])[0-9]+(?:[.][0-9]+)+', said.stdout)[0]}"


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
