"""`make matrix`: the tests on other versions than those of the lock file, and a table of what ran.

Each combination gets a virtual environment of its own in a temporary folder. What can't be had here
(no interpreter, no package) is in the table as not run.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PathDistribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "versions.md"
MARK = "<!-- written by make matrix -->\n"
TESTS = ("tests/unit", "tests/integration/rows", "tests/acceptance/test_cycle.py")
SHOWN = ("Django", "celery", "django-celery-results")
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

NEEDED = (
    *("celery[redis]", "cryptography", "django-celery-results", "orjson", "pyrage", "zstandard"),
    *("PyMySQL", "django-storages[s3]", "psycopg[binary]"),
    *("django-axes", "flower", "gunicorn", "redis", "whitenoise"),
)
"""What the app, its extras and the EDMS need, without the versions that the EDMS is pinned to."""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Versions that are installed together."""

    python: str
    pins: Sequence[str]


COMBINATIONS = (
    Combination(python="3.11", pins=LOWEST),
    Combination(python="3.12", pins=["Django~=6.0.0"]),
    Combination(python="3.13", pins=["Django~=6.1.0"]),
    Combination(python="3.14", pins=["Django~=6.1.0"]),
)


def interpreter(version: str) -> Path | None:
    """Return a Python of that version: on PATH, or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{version}")
    found = [Path(on_path)] if on_path else []
    for python in [*found, *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        said = subprocess.run([python, "--version"], check=False, capture_output=True, text=True)
        if said.stdout.startswith(f"Python {version}."):  # a shim of pyenv may lead nowhere
            return python
    return None


def installed(environment: Path) -> dict[str, str]:
    """Return the versions of what is shown."""
    packages = next(environment.glob("lib/python*/site-packages"))
    return {
        name: next(
            PathDistribution(folder).version
            for folder in packages.glob("*.dist-info")
            if folder.name.lower().startswith(f"{name.lower().replace('-', '_')}-")
        )
        for name in SHOWN
    }


def run(combination: Combination, folder: Path, tests: Sequence[str]) -> Iterator[str]:
    """Yield the cells of the combination's row: versions, then what came of it."""
    python = interpreter(combination.python)
    if python is None:
        yield from (combination.python, *["–"] * len(SHOWN), "not run: no such Python here")
        return
    uv = str(Path(sys.executable).with_name("uv"))
    environment = folder / combination.python
    subprocess.run([uv, "venv", "--quiet", "--python", python, environment], check=True)
    of_environment = str(environment / "bin" / "python")
    install = [uv, "pip", "install", "--quiet", "--python", of_environment]
    groups = [f"--group={group}" for group in ("dev", "embedded")]
    done = subprocess.run([*install, *groups, *NEEDED, *combination.pins], check=False, cwd=ROOT)
    if done.returncode:
        yield from (combination.python, *["–"] * len(SHOWN), "not run: could not be installed")
        return
    yield combination.python
    yield from installed(environment).values()
    command = [of_environment, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--numprocesses", "2", "--dist", "loadfile"]
    log = subprocess.run(
        [*command, *tests], check=False, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ).stdout
    print(log, flush=True)
    summary = re.findall(r"^\d+ (?:passed|failed|error).*?(?= in )", log, re.MULTILINE)
    yield summary[-1] if summary else "did not start"


def main() -> None:
    """Run the combinations and write the page. Ends with 1 if tests failed."""
    parser = argparse.ArgumentParser(prog="make matrix")
    parser.add_argument("--python", action="append", help="only these versions; default: all")
    parser.add_argument("tests", nargs="*", default=TESTS)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for combination in COMBINATIONS:
            if not asked.python or combination.python in asked.python:
                rows.append([*run(combination, Path(folder), asked.tests)])
                print(" | ".join(rows[-1]), flush=True)
    head = ("Python", *SHOWN, "tests")
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    ran = f"Run on {datetime.now(UTC):%Y-%m-%d}: `{' '.join(asked.tests)}`."
    PAGE.write_text(f"{above}{MARK}\n{ran}\n\n{table}\n", encoding="utf-8")
    sys.exit(any(re.search("failed|error|did not", row[-1]) is not None for row in rows))


if __name__ == "__main__":
    main()
