"""FILES_EXCLUDE: what it names is in no list, no package and no plan, and a restore leaves it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from backup_tasks.backup.unwanted_files import UnwantedFiles
from backup_tasks.models import Run
from backup_tasks.storage.exclusion import is_excluded
from backup_tasks.storage.files import Tree
from tests.services import Project
from tests.unit.runs.test_commands import run_command

Exclude = Callable[..., None]


@pytest.fixture
def exclude(settings: Settings) -> Exclude:
    """Call it with patterns."""

    def change(*patterns: str) -> None:
        settings.BACKUP = {**settings.BACKUP, "FILES_EXCLUDE": list(patterns)}

    return change


def put(*names: str) -> Path:
    media = Path(django_settings.MEDIA_ROOT)
    for name in names:
        (media / name).parent.mkdir(parents=True, exist_ok=True)
        (media / name).write_text(name)
    return media


@pytest.mark.parametrize(
    ("pattern", "out", "stays"),
    [
        ("cache", "cache/a/b", "cached/a"),
        ("cache/", "cache/a", "my/cache/a"),
        ("*.key", "deep/down/my.key", "my.keys"),
        ("*/thumbs/*", "a/thumbs/b/c", "thumbs/b"),
        ("log?.txt", "log1.txt", "log10.txt"),
    ],
)
def test_a_pattern_names_files_and_folders(
    exclude: Exclude, pattern: str, out: str, stays: str
) -> None:
    exclude(pattern)
    assert (is_excluded(out), is_excluded(stays)) == (True, False)


def test_the_list_has_them_as_left_out_but_never_what_runs_stage(exclude: Exclude) -> None:
    media = put("a.txt", "cache/b.txt")
    exclude("*.txt")
    tree = Tree("default")
    assert list(tree.names()) == []
    assert [found.name for found in tree.found()] == ["a.txt", "cache/b.txt"]
    ours = ".backup_tasks/run/staging/a.txt"
    assert media.is_dir()
    put(ours)
    assert list(tree.names(".backup_tasks/run/staging")) == [ours]


@pytest.mark.slow
def test_a_backup_says_so_and_a_restore_leaves_them_as_they_are(
    on_demo_project: Project, exclude: Exclude
) -> None:
    media = put("cache/page", "kept.txt")
    assert run_command("create_backup", "--label", "all")[0] == 0
    exclude("cache")
    put("cache/later")
    assert run_command("create_backup")[0] == 0
    newest: Any = Run.objects.order_by("-created_at").first()
    assert any("cache/later (excluded by" in line for line in newest.report["warnings"])

    (media / "kept.txt").write_text("changed")
    (media / "cache/page").write_text("changed")
    for package in (newest.package, Run.objects.order_by("created_at")[0].package):
        code, _, err = run_command("restore_from_package", package, "--confirm")
        assert code == 0, err
        assert (media / "kept.txt").read_text() == "kept.txt"
        assert (media / "cache/page").read_text() == "changed"
        assert (media / "cache/later").read_text() == "cache/later"


def test_keys_configuration_static_files_caches_and_indexes_are_named(settings: Settings) -> None:
    media = put("x/private.pem", ".env", "static/a.css", "cache/1", "index/segment", "fine.pdf")
    settings.STATIC_ROOT = media / "static"
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(media / "cache"),
        }
    }
    settings.HAYSTACK_CONNECTIONS = {"default": {"PATH": str(media / "index")}}
    unwanted, tree = UnwantedFiles(), Tree("default")
    for name in tree.names():
        unwanted.look_at(tree, name)

    told = " ".join(unwanted.warnings())
    for words in (
        "keys are in the package: x/private.pem",
        "configuration files are in the package: .env",
        "static files are in the package: static/a.css",
        "cached values are in the package: cache/1",
        "parts of a search index are in the package: index/segment",
    ):
        assert words in told
    assert "fine.pdf" not in told
