"""E002, E009: a folder of UNDO_FILES that can't have the run folders of its storage."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pytest_django import Settings

from tests.unit.checks.fired import Fired


@pytest.mark.parametrize(
    ("alias", "folder", "problem"),
    [
        ("default", "media/undo", "lies within MEDIA_ROOT"),
        ("default", "", "contains the workspace"),
        ("backups", "undo", "FILE_STORAGES has no storage"),
        ("default", None, "is no absolute path"),
    ],
)
def test_a_folder_that_can_t_have_the_run_folders_is_an_error(
    fired: Fired, tmp_path: Path, alias: str, folder: str | None, problem: str
) -> None:
    named = "undo" if folder is None else tmp_path / folder

    assert problem in fired("E009", UNDO_FILES={alias: named}).msg


def test_a_folder_for_the_run_folders_of_a_bucket_is_an_error(
    fired: Fired, settings: Settings, tmp_path: Path
) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": memory}

    assert "is not on disk" in fired("E009", UNDO_FILES={"default": tmp_path / "undo"}).msg


def test_run_folders_on_another_file_system_are_an_error(fired: Fired, settings: Settings) -> None:
    shared_memory, media = Path("/dev/shm"), Path(settings.MEDIA_ROOT)
    media.mkdir()
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == media.stat().st_dev:
        pytest.skip("needs a second file system: /dev/shm")
    with TemporaryDirectory(dir=shared_memory) as folder:
        message = fired("E009", UNDO_FILES={"default": folder})
        assert list(Path(folder).iterdir()) == []

    assert "another file system" in message.msg
    assert list(media.iterdir()) == []


@pytest.mark.parametrize("value", ["/srv/undo-files", {"default": 7}, {"default": ""}])
def test_a_value_that_names_no_folder_is_an_error(fired: Fired, value: object) -> None:
    assert "UNDO_FILES" in fired("E002", UNDO_FILES=value).msg
