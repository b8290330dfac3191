"""What `make dist` builds is the reusable app, all of it, and nothing else."""

import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import backup_tasks
from tests.habits.pages import ROOT

SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY = "for one test"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
INSTALLED_APPS = [
    *(f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions")),
    "django_celery_results",
    "backup_tasks",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
MEDIA_ROOT = BASE_DIR / "media"
"""
ABOUT = """
import backup_tasks, django
from importlib.metadata import version
django.setup()
from django.template.loader import get_template
print(backup_tasks.__file__, version("django-backup-tasks"), backup_tasks.__version__)
print(get_template("backup_tasks/run.html").origin)
"""


def uv(*arguments: str | Path) -> None:
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    done = subprocess.run([uv, "--quiet", "--offline", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make dist` builds it, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_every_file_of_the_app(names: set[str]) -> None:
    """Templates, styles and migrations too, else the pages of every other project break."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "backup_tasks"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    known = {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}

    assert {".py", ".html", ".css", ".js"} <= {Path(name).suffix for name in known}
    assert {name for name in names if name.startswith("backup_tasks/")} == known


def test_the_wheel_holds_nothing_else(names: set[str]) -> None:
    others = {name for name in names if not name.startswith("backup_tasks/")}
    folders = {name.split("/")[0] for name in others}

    assert folders == {f"django_backup_tasks-{backup_tasks.__version__}.dist-info"}
    assert any(name.endswith("/licenses/LICENSE") for name in others)


def test_the_wheel_asks_for_what_the_app_needs_and_not_for_what_the_edms_needs(
    metadata: Message,
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    always = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]

    assert len(always) == len(project["dependencies"])
    assert not [line for line in always if line.startswith(("flower", "gunicorn", "django-axes"))]
    assert "dev" not in metadata.get_all("Provides-Extra", []), "that is for this repository"
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    assert metadata["Version"] == backup_tasks.__version__
    assert "version" not in project, "backup_tasks.__version__ is the one place"


def test_what_was_installed_from_the_wheel_backs_a_project_up(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    uv("venv", "--python", sys.executable, tmp_path / "venv")
    uv("pip", "install", "--no-deps", "--python", python, wheel)
    # The dependencies are those of this environment; the app is not in it.
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    home = tmp_path / "project"
    home.mkdir()
    (home / "settings.py").write_text(SETTINGS)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, *arguments],
            cwd=home,
            env={"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(home)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    installed, version, own, template = run("-c", ABOUT).split()
    assert Path(installed).is_relative_to(site)
    assert Path(template).is_relative_to(site)
    assert version == own == backup_tasks.__version__
    run("-m", "django", "migrate", "--verbosity", "0")
    run("-m", "django", "create_backup")
    run("-m", "django", "drill_restore")
