"""Each runbook, followed word for word after what it is for has really happened."""

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backup_tasks.package.cipher import generate_identity
from tests.acceptance.contents import contents
from tests.acceptance.following import Reader
from tests.habits.pages import DOCS
from tests.services import MakeProject, Project

pytestmark = pytest.mark.slow


@pytest.fixture
def demo(make_project: MakeProject) -> Project:
    return make_project("sqlite", demo=True)


def reader(name: str, project: Project) -> Reader:
    return Reader(path=f"docs/runbooks/{name}.md", project=project)


def last_run(printed: str) -> str:
    """The newest run in the output of `runs`."""
    found = re.search(r"^(\w+-\w+-\w+) ", printed, re.MULTILINE)
    assert found, printed
    return found[1]


def backup(project: Project, *options: str) -> str:
    return str(project.json("create_backup", *options)["package"])


def test_the_database_is_gone(make_project: MakeProject, tmp_path: Path) -> None:
    lost = make_project("sqlite", demo=True)
    package, before = backup(lost), contents(lost)
    lost.database.unlink()
    operator = reader("database-gone", lost)

    assert package in operator.types()
    assert "can be opened" in operator.types({"NAME": package})
    operator.types()
    assert "succeeded" in operator.types({"NAME": package})
    assert contents(lost) == before
    found = re.search(r"adopt_installation (\w{16})", lost.succeed("create_backup").stdout)
    assert found is not None
    operator.types({"ID": found[1]})
    assert "succeeded" in operator.types()
    assert operator.has_finished()
    assert "installation" not in lost.succeed("create_backup").stdout


def test_the_broker_is_gone(make_project: MakeProject, redis_url: str) -> None:
    without = make_project("sqlite", demo=True)
    assert without.manage("create_backup", "--enqueue").returncode == 1
    operator = reader("broker-gone", without)

    assert operator.types().count("succeeded") == 2
    assert without.manage("drill_restore", "--enqueue").returncode == 1
    operator.types({"RUN": last_run(operator.types())})
    operator.project = replace(without, redis_url=redis_url)
    with operator.project.worker():
        operator.types()
        without.succeed("runs", "--watch")
    assert re.search(r"drill-\S+ +succeeded", without.succeed("runs").stdout)
    assert operator.has_finished()


@pytest.mark.parametrize("decision", ["resume", "cancel"])
def test_the_workers_are_gone(make_project: MakeProject, redis_url: str, decision: str) -> None:
    project = make_project("sqlite", demo=True, redis_url=redis_url)
    project.succeed("create_backup", "--enqueue")
    operator = reader("worker-gone", project)

    printed = operator.types()
    run = last_run(printed)
    assert "worker answers" in printed
    if decision == "cancel":
        operator.leaves_out("python manage.py resume_run")
        operator.types({"RUN": run})
    else:
        assert "succeeded" in operator.types({"RUN": run})
        operator.leaves_out("python manage.py cancel_run")
    assert operator.has_finished()
    state = "cancelled" if decision == "cancel" else "succeeded"
    assert re.search(rf"{run} +{state}", project.succeed("runs").stdout)


def test_keys_are_lost(demo: Project, tmp_path: Path) -> None:
    secret, public = generate_identity()
    kept = tmp_path / "kept.txt"
    kept.write_text(secret)
    encrypting = replace(demo, variables={"BACKUP_RECIPIENTS": public})
    package, before = backup(encrypting), contents(demo)
    demo.succeed("system_reinit", "--confirm", "--no-safety-backup")
    operator = reader("keys-lost", demo)

    assert demo.manage("restore_from_package", package, "--confirm").returncode == 6
    operator.types({"NAME": package, "FILE": kept})
    operator.types({"NAME": package, "FILE": kept})
    assert contents(demo) == before
    new = tmp_path / "new-identity.txt"
    operator.types({"new-identity.txt": new})
    public = new.read_text().splitlines()[0].removeprefix("# public key: ")
    operator.project = replace(demo, variables={"BACKUP_RECIPIENTS": public})
    assert operator.types({"new-identity.txt": new}).count("succeeded") == 2
    assert operator.has_finished()


def test_the_wrong_package_was_restored(demo: Project) -> None:
    backup(demo)
    before = contents(demo)
    demo.succeed("system_reinit", "--confirm")
    operator = reader("wrong-restore", demo)

    operator.types()
    assert contents(demo) == before
    assert re.search(r"undo-\S+ +succeeded", operator.types())
    demo.succeed("undo_restore", "--confirm")
    safety = re.search(r"\S+-safety-\S+?\.tar\.zst", demo.succeed("list_packages").stdout)
    assert safety is not None
    operator.types({"NAME": safety[0]})
    assert contents(demo) == before
    assert operator.has_finished()


def test_a_disk_is_full(demo: Project) -> None:
    # No file may grow beyond 8 MB, which only the package does: as where the store's disk is full.
    (demo.media / "scan.tiff").write_bytes(os.urandom(9 << 20))
    limited = f"ulimit -f {(8 << 20) // 512}; {sys.executable} manage.py create_backup"
    full = demo.run("/bin/sh", "-c", limited)
    assert full.returncode == 1, full.stderr
    operator = reader("disk-full", demo)

    run = last_run(operator.types())
    operator.types()
    assert "succeeded" in operator.types({"RUN": run})
    assert operator.has_finished()


def test_the_store_can_not_be_reached(demo: Project, tmp_path: Path) -> None:
    demo.store.write_text("not a folder: the mount is gone")
    assert demo.manage("create_backup").returncode == 1
    operator = reader("store-unreachable", demo)
    before = contents(demo)

    run = last_run(operator.types())
    other = tmp_path / "else.tar.zst"
    assert "no package was removed" in operator.types({"/somewhere/else.tar.zst": other})
    assert demo.manage("prune_packages").returncode == 1
    demo.store.unlink()
    assert "succeeded" in operator.types({"RUN": run})
    operator.types({"/somewhere/else.tar.zst": other})
    assert contents(demo) == before
    assert operator.has_finished()


def test_a_package_is_damaged(demo: Project) -> None:
    older, newer = backup(demo), backup(demo)
    content = bytearray((demo.store / newer).read_bytes())
    content[len(content) // 2] ^= 1
    (demo.store / newer).write_bytes(content)
    operator = reader("damaged-package", demo)

    assert "SHA-256" in operator.types({"NAME": newer})
    assert f"Last good backup: {older}" in operator.types()
    operator.types({"OTHER": older})
    assert operator.types().count("succeeded") == 2
    assert operator.has_finished()
    assert demo.manage("backup_status").returncode < 2


def test_nobody_can_sign_in(demo: Project) -> None:
    demo.succeed("system_reinit", "--confirm", "--no-safety-backup")
    operator = reader("nobody-can-sign-in", demo)
    password = "correct-horse-battery"

    operator.types(stdin=f"{password}\n{password}\n")
    operator.leaves_out("python manage.py createsuperuser")  # Django's dialogue, at a terminal
    operator.types({"NAME": "admin"})
    assert operator.has_finished()
    assert demo.evaluate(
        f'M["users.user"].objects.get(username="admin").check_password("{password}")'
    )


def test_every_runbook_is_followed_here() -> None:
    followed = set(re.findall(r'reader\("([\w-]+)"', Path(__file__).read_text()))
    assert followed == {path.stem for path in (DOCS / "runbooks").glob("*.md")}
