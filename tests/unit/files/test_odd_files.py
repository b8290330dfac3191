"""Links, pipes, modes, and names that are not UTF-8: carried, or named and left alone."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pytest_django import Settings

from backup_tasks.errors import Permanent, SourceChanged, StorageRefused
from backup_tasks.printable import shown
from backup_tasks.restore import file_swap
from backup_tasks.restore.run_folder import released_name
from backup_tasks.storage.files import Tree
from backup_tasks.storage.on_disk import Access

KEPT = f"{released_name('restore-1')}/kept"


@pytest.fixture
def media(settings: Settings) -> Path:
    folder = Path(settings.MEDIA_ROOT)
    folder.mkdir()
    return folder


@pytest.fixture
def tree(media: Path) -> Tree:
    return Tree("default")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("of somebody else")
    return folder


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    former = os.umask(0o022)
    yield
    os.umask(former)


def left_out(tree: Tree) -> dict[str, str]:
    return {found.name: found.left_out for found in tree.found() if found.left_out}


def mode_of(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_what_is_no_file_is_named_and_not_opened(tree: Tree, media: Path) -> None:
    (media / "file").write_text("1")
    os.mkfifo(media / "pipe")
    os.mkfifo(media / "behind")
    (media / "to a pipe").symlink_to("behind")
    (media / "broken").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(media)  # a socket's path may have 107 bytes
        try:
            server.bind("socket")
        finally:
            os.chdir(here)

    assert list(tree.names()) == ["file"]
    assert left_out(tree) == {
        "pipe": "a pipe",
        "behind": "a pipe",
        "to a pipe": "a pipe",
        "broken": "a link that leads nowhere",
        "socket": "a socket",
    }
    with pytest.raises(SourceChanged, match="a pipe"):
        tree.entry("pipe")


def test_links_that_lead_outside_are_not_followed_out(
    tree: Tree, media: Path, outside: Path
) -> None:
    (media / "inside").mkdir()
    (media / "inside" / "file").write_text("1")
    (media / "alias").symlink_to("inside/file")
    (media / "same").symlink_to("inside")
    (media / "folder").symlink_to(outside)
    (media / "secret").symlink_to(outside / "secret")

    assert list(tree.names()) == ["alias", "inside/file", "same/file"]
    assert left_out(tree) == dict.fromkeys(
        ("folder", "secret"), "a link that leads outside the storage"
    )


def test_with_the_setting_they_are(media: Path, outside: Path, settings: Settings) -> None:
    (media / "folder").symlink_to(outside)
    settings.BACKUP = {**settings.BACKUP, "FOLLOW_LINKS": True}

    tree = Tree("default")

    assert list(tree.names()) == ["folder/secret"]
    tree.write("folder/new", BytesIO(b"1"))
    assert (outside / "new").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["folder/new", "folder", "secret"])
def test_nothing_is_written_through_a_link_that_leads_outside(
    tree: Tree, media: Path, outside: Path, name: str
) -> None:
    (media / "folder").symlink_to(outside)
    (media / "secret").symlink_to(outside / "secret")
    tree.write("staged", BytesIO(b"1"))
    before = {path.name: path.read_bytes() for path in outside.iterdir()}

    writes: list[Callable[[], None]] = [
        lambda: tree.write(name, BytesIO(b"1")),
        lambda: tree.move("staged", name),
        lambda: tree.copy("staged", name),
        lambda: file_swap.refuse_clash(tree, name),
    ]
    for write in writes:
        with pytest.raises(StorageRefused, match="leads outside"):
            write()

    assert {path.name: path.read_bytes() for path in outside.iterdir()} == before
    assert (media / "folder").is_symlink()


def test_our_own_folder_may_be_no_link_either(tree: Tree, media: Path, outside: Path) -> None:
    (media / ".backup_tasks").symlink_to(outside)

    with pytest.raises(StorageRefused):
        tree.write(file_swap.staged("restore-1", "x"), BytesIO(b"1"))

    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_links_in_a_circle_end(tree: Tree, media: Path) -> None:
    (media / "a").mkdir()
    (media / "b").mkdir()
    (media / "a" / "file").write_text("1")
    (media / "a" / "to b").symlink_to("../b")
    (media / "b" / "to a").symlink_to("../a")
    (media / "self").symlink_to("self")

    assert list(tree.names()) == ["a/file", "b/to a/file"]
    assert set(left_out(tree)) == {"a/to b/to a", "b/to a/to b", "self"}


def test_removing_a_folder_of_ours_follows_no_link(tree: Tree, media: Path, outside: Path) -> None:
    tree.write(f"{KEPT}/x", BytesIO(b"1"))
    (media / f"{KEPT}/link").symlink_to(outside)

    tree.remove_folder(released_name("restore-1"))

    assert list(media.rglob("*")) == []
    assert (outside / "secret").exists()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755])
def test_a_file_comes_back_with_its_mode(tree: Tree, media: Path, mode: int) -> None:
    (media / "file").write_text("1")
    (media / "file").chmod(mode)
    entry = tree.entry("file")

    tree.write(file_swap.staged("restore-1", "file"), BytesIO(b"1"), access=entry.access)
    tree.move(file_swap.staged("restore-1", "file"), "again")

    assert mode_of(media / "again") == oct(mode)


def test_its_owner_can_always_read_a_file_that_came_back(tree: Tree, media: Path) -> None:
    tree.write("file", BytesIO(b"1"), access=Access(mode=0o040, owner=None))

    assert mode_of(media / "file") == "0o640"


def test_what_is_kept_lies_where_nobody_else_can_look(tree: Tree, media: Path) -> None:
    (media / ".backup_tasks").mkdir(mode=0o755)  # as earlier versions made it
    tree.write("file", BytesIO(b"1"))

    tree.copy("file", f"{KEPT}/file")

    assert mode_of(media / ".backup_tasks") == "0o700"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_a_file_back_to_its_owner(tree: Tree, media: Path) -> None:
    (media / "file").write_text("1")
    os.chown(media / "file", 12345, 23456)
    entry = tree.entry("file")

    tree.write("again", BytesIO(b"1"), access=entry.access)

    assert ((media / "again").stat().st_uid, (media / "again").stat().st_gid) == (12345, 23456)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_the_owner_of_the_folder(tree: Tree, media: Path) -> None:
    os.chown(media, 12345, 23456)

    tree.write("2026/november/file", BytesIO(b"1"), access=Access(mode=0o600, owner=None))

    made = [media / "2026", media / "2026/november", media / "2026/november/file"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(12345, 23456)}


def test_a_name_that_is_not_utf8_can_be_shown(tree: Tree, media: Path) -> None:
    Path(os.fsdecode(os.fsencode(media) + b"/caf\xe9")).write_text("1")

    (name,) = tree.names()

    assert shown(name) == "caf\\xe9"
    assert Permanent(f"{name} is odd", obj=name).record()["object"] == "caf\\xe9"
    assert shown("\ud800") == "\\ud800"
    assert tree.entry(name).size == 1
