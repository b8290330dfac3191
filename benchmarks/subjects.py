"""What is measured: each function runs one tool on one copy of the data, and returns its cost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backup_tasks.package.cipher import generate_identity
from benchmarks.data import with_second_look, with_steps
from benchmarks.measuring import BenchmarkFailed, Cost, Server, cost_of
from edms.local.instance import ROOT, Instance

NOT_DUMPED = ("backup_tasks", "django_celery_results", "sessions", "users.signature")
"""What `dumpdata` is spared: the tables that no package holds, and a model that it writes in a way
`loaddata` can't read (--natural-primary leaves out a primary key that is a foreign key)."""

_REQUIREMENTS = Path(__file__).with_name("dbbackup.txt")


@dataclass(frozen=True, kw_only=True)
class Keys:
    """An age key pair for packages."""

    identity: Path
    recipient: str

    @classmethod
    def made(cls, folder: Path) -> Keys:
        identity, recipient = generate_identity()
        path = folder / "age-identity"
        path.write_text(identity)
        return cls(identity=path, recipient=recipient)


def create_backup(instance: Instance, keys: Keys, server: Server) -> tuple[Cost, Path]:
    """Compressed with zstd, encrypted with age, read back; the worker can't decrypt, as advised."""
    working = replace(instance, variables={"BACKUP_RECIPIENTS": keys.recipient})
    cost = _manage(working, "create_backup", "--type", "database", "--encrypt", server=server)
    (package,) = instance.store.glob("*.age")
    return with_second_look(with_steps(cost, instance), instance), package


def restore(instance: Instance, package: Path, keys: Keys, server: Server) -> Cost:
    """Into the same database: staging, load, validation and promotion, without a safety backup."""
    arguments = ["--type", "database", "--confirm", "--no-safety-backup", "--identity"]
    cost = _manage(
        instance,
        "restore_from_package",
        str(package),
        *arguments,
        str(keys.identity),
        server=server,
    )
    return with_steps(cost, instance)


def pg_dump(programs: Path, instance: Instance, target: Path, server: Server) -> Cost:
    """PostgreSQL's own, in its custom format, which is compressed."""
    command: list[str | Path] = [programs / "pg_dump", "-Fc", "-f", target, instance.database_url]
    return cost_of(command, env=instance.env, cwd=ROOT, server=server)


def pg_restore(
    programs: Path, dump: Path, url: str, env: Mapping[str, str], server: Server
) -> Cost:
    """Into an empty database, over one connection."""
    return cost_of([programs / "pg_restore", "-d", url, dump], env=env, cwd=ROOT, server=server)


def dumpdata(instance: Instance, target: Path, server: Server) -> Cost:
    """Django's own, with natural keys; --all, or it leaves out rows that managers hide (T2)."""
    excluded = [part for name in NOT_DUMPED for part in ("--exclude", name)]
    keys = (
        "--all",
        "--natural-foreign",
        "--natural-primary",
        "--format",
        "jsonl",
        "--output",
        str(target),
    )
    return _manage(instance, "dumpdata", *keys, *excluded, server=server)


def loaddata(instance: Instance, fixture: Path, server: Server) -> Cost:
    """Into an EDMS that has only its defaults."""
    return _manage(instance, "loaddata", str(fixture), server=server)


def _manage(instance: Instance, *arguments: str, server: Server) -> Cost:
    command = [sys.executable, "manage.py", *arguments]
    return cost_of(command, env=instance.env, cwd=ROOT, server=server)


@dataclass(frozen=True, kw_only=True)
class Dbbackup:
    """django-dbbackup and a GnuPG key for it, in a folder of their own."""

    packages: Path
    home: Path
    recipient: str = "bench@example.org"

    @classmethod
    def installed(cls, folder: Path) -> Dbbackup:
        """Install it. Raises BenchmarkFailed if that can't be done here."""
        if shutil.which("gpg") is None:
            raise BenchmarkFailed("gpg is not installed")
        made = cls(packages=folder / "packages", home=folder / "gnupg")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
        _do([*install, "--target", made.packages, "-r", _REQUIREMENTS], os.environ)
        made.home.mkdir(mode=0o700, parents=True)
        _do(
            ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", made.recipient],
            made.variables(folder) | {"PATH": os.environ["PATH"]},
        )
        return made

    def variables(self, folder: Path) -> dict[str, str]:
        return {
            "GNUPGHOME": str(self.home),
            "PYTHONPATH": str(self.packages),
            "BENCH_DBBACKUP_FOLDER": str(folder),
            "BENCH_GPG_RECIPIENT": self.recipient,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings_dbbackup",
        }

    def backup(self, instance: Instance, programs: Path, server: Server) -> tuple[Cost, Path]:
        """Run `dbbackup --compress --encrypt`: pg_dump's text, gzip, GnuPG."""
        folder = instance.folder / "dbbackup"
        folder.mkdir()
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        working = replace(instance, variables={**self.variables(folder), "PATH": path})
        arguments = ("dbbackup", "--compress", "--encrypt", "--noinput")
        cost = _manage(working, *arguments, server=server)
        (written,) = folder.glob("*.gpg")
        return cost, written

    def stop(self) -> None:
        """End the agent that gpg left in the background."""
        subprocess.run(
            ["gpgconf", "--kill", "all"],
            env={"GNUPGHOME": str(self.home), "PATH": os.environ["PATH"]},
            check=False,
        )


def _do(command: list[str | Path], env: Mapping[str, str]) -> None:
    done = subprocess.run(
        [str(part) for part in command], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchmarkFailed(f"{command[0]} → {done.returncode}: {done.stderr.strip()[-500:]}")
