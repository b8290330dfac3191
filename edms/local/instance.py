"""An EDMS of its own in a folder: database, files, packages and queue apart from any other's."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edms.local.processes import Child, run, start

ROOT = Path(__file__).resolve().parents[2]
"""Where manage.py is."""

CONFIGURATION = (
    *("ALLOWED_HOSTS", "AWS_", "BACKUP_", "CELERY_", "CSRF_TRUSTED_ORIGINS", "DATABASE_URL"),
    *("DEBUG", "DJANGO_", "EDMS_", "FLOWER_", "HTTPS", "LOG_LEVEL", "MEDIA_ROOT", "REDIS_URL"),
    *("SECRET_KEY", "SIGN_IN_", "STATIC_ROOT", "TRUSTED_PROXIES"),
)
"""How the names of variables start that configure some EDMS: not inherited by this one."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """Where one EDMS keeps what it has, and how to run its programs."""

    folder: Path
    database_url: str = ""
    """Empty: SQLite in the folder."""
    redis_url: str = ""
    """Empty: no broker; commands work without one."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables."""

    @property
    def database(self) -> Path:
        """The SQLite file, where the database is one."""
        return self.folder / "edms.sqlite3"

    @property
    def database_name(self) -> str:
        """On its server, where it has one."""
        return unquote(urlsplit(self.database_url).path).lstrip("/")

    @property
    def media(self) -> Path:
        return self.folder / "media"

    @property
    def store(self) -> Path:
        return self.folder / "backups"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def env(self) -> dict[str, str]:
        """The environment of its programs: this one's, with this instance's configuration."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(CONFIGURATION)
        }
        return {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "edms.settings",
            # Nobody listens here: a program that should not need a broker notices when it does.
            "REDIS_URL": self.redis_url or "redis://127.0.0.1:1/0",
            "DATABASE_URL": self.database_url or f"sqlite:///{self.database}",
            "MEDIA_ROOT": str(self.media),
            "STATIC_ROOT": str(self.folder / "static"),
            "BACKUP_STORE": str(self.store),
            "BACKUP_WORKSPACE": str(self.workspace),
            **self.variables,
        }

    def run(
        self, *command: str | Path, stdin: str | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end. Its exit code is for the caller to judge; raises
        subprocess.TimeoutExpired after `timeout` seconds."""
        return run(command, cwd=ROOT, env=self.env, stdin=stdin, timeout=timeout)

    def manage(
        self, *arguments: str | Path, stdin: str | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run `python manage.py …` to its end, not at a terminal."""
        return self.run(sys.executable, "manage.py", *arguments, stdin=stdin, timeout=timeout)

    def start_worker(self, *, queues: str = "backups", concurrency: int = 1) -> Child:
        """Start a Celery worker with a prefork pool. The caller stops it."""
        return start(
            "the Celery worker",
            [
                *(sys.executable, "-m", "celery", "-A", "edms", "worker"),
                *("-Q", queues, "-c", str(concurrency), "-n", f"worker-{os.getpid()}@%h"),
                *("--loglevel", "INFO"),
            ],
            log=self.folder / "worker.log",
            env=self.env,
            cwd=ROOT,
            grace=20,
        )

    @contextlib.contextmanager
    def worker(self, *, queues: str = "backups", concurrency: int = 1) -> Iterator[Child]:
        """A worker for as long as the block lasts."""
        child = self.start_worker(queues=queues, concurrency=concurrency)
        try:
            yield child
        finally:
            child.stop()
