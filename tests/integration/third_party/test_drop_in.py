"""A CMS and a shop from the package index go through the whole cycle with nothing but settings.

Wagtail and Oscar are installed into an environment of their own, which is kept between test runs.
Takes some minutes per database, nearly all of them for the two applications' migrations: `make
third-party` runs it.
"""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backup_tasks.package.manifest import Manifest
from backup_tasks.package.reader import read_manifest
from edms import environment
from edms.local.instance import ROOT
from tests.services import ENGINES

pytestmark = [pytest.mark.third_party, pytest.mark.slow]

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The project in a folder, and the Python that has its applications."""

    python: Path
    folder: Path
    database_url: str

    def run(self, *arguments: str) -> str:
        """Run the project's Python; return what it printed. It must succeed."""
        library = self.folder / "library"
        if not library.exists():
            # The two packages of the project, and nothing else of this repository.
            library.mkdir(parents=True)
            (library / "backup_tasks").symlink_to(ROOT / "backup_tasks")
            (library / "shop").symlink_to(HERE / "shop")
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(library),
                "PYTHONDONTWRITEBYTECODE": "1",
                "DJANGO_SETTINGS_MODULE": "shop.settings",
                "SHOP_HOME": str(self.folder),
                "SHOP_DATABASE": json.dumps(environment.database(self.database_url)),
            },
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} → {done.returncode}\n{done.stderr[-4000:]}"
        return done.stdout

    def manage(self, *arguments: str) -> str:
        return self.run("-m", "django", *arguments)

    def call(self, function: str) -> str:
        """Call a function of the project, as in `content.fill`."""
        module, _, name = function.partition(".")
        return self.run(
            "-c", f"import django; django.setup(); from shop.{module} import {name}; {name}()"
        )

    def look(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call(f"look.{what}"))
        return found

    def manifest(self, package: str) -> Manifest:
        path = self.folder / "backups" / package
        return read_manifest(path, identities=(), scratch=self.folder)


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest) -> Path:
    """The Python of an environment that has the applications and what backup_tasks needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["postgres"],
        *filter(lambda line: line[:1] not in "#\n", REQUIREMENTS.read_text().splitlines()),
    ]
    recipe = "\n".join([sys.version, *wanted]).encode()
    assert request.config.cache is not None
    folder = request.config.cache.mkdir(f"third_party-{hashlib.sha256(recipe).hexdigest()[:12]}")
    made = folder / "made"
    if not made.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "venv"], check=True)
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        subprocess.run([folder / "venv/bin/python", *pip, *wanted], check=True)
        made.touch()
    return folder / "venv/bin/python"


@pytest.fixture(params=ENGINES)
def shop(
    request: pytest.FixtureRequest,
    python: Path,
    tmp_path: Path,
    fresh_postgres_database: Callable[[], str],
) -> Shop:
    """The project with its content, once per database engine."""
    url = (
        fresh_postgres_database()
        if request.param == "postgres"
        else f"sqlite:///{tmp_path / 'shop' / 'shop.sqlite3'}"
    )
    shop = Shop(python=python, folder=tmp_path / "shop", database_url=url)
    shop.manage("migrate", "--verbosity", "0")
    shop.call("content.fill")
    return shop


def test_a_cms_and_a_shop_come_back_as_they_were(shop: Shop) -> None:
    # Given: a site that works, with revisions, a search index, orders and files
    pages = shop.look("visit")
    before = shop.look("state")
    assert sum(status == 200 for status, _ in pages.values()) > 20
    assert len(before["generic"]["wagtailcore.revision.content_object"]) > 10
    assert before["rows"]["order.order"] > 4

    # When: it is backed up, reset and restored
    backup = json.loads(shop.manage("create_backup", "--json"))
    shop.manage("system_reinit", "--confirm", "--no-safety-backup", "--json")
    assert shop.look("sizes") == {"orders": 0, "pages": 2, "revisions": 0}
    options = ("--type", "full", "--confirm", "--json")
    restore = json.loads(shop.manage("restore_from_package", backup["package"], *options))

    # Then: every count, and what each generic key leads to, are as before
    assert restore["ok"]
    assert shop.look("state") == before
    # and so is every row, keys included, as a second package tells
    again = json.loads(shop.manage("create_backup", "--json"))
    assert _digests(shop.manifest(again["package"])) == _digests(shop.manifest(backup["package"]))
    # and every page
    assert shop.look("visit") == pages


def _digests(manifest: Manifest) -> dict[str, tuple[int, str, str]]:
    return {entry.label: (entry.count, entry.digest, entry.exact) for entry in manifest.models}
