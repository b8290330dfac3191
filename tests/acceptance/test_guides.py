"""The tutorial and how-to guides, followed word for word.

Those that need other services are followed where these are: schedule-nights and use-rabbitmq in
tests/integration/celery, store-on-s3 in test_s3, deploy-with-compose by `make compose-smoke`,
recover-with-plain-tools in test_plain_tools.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.contents import contents, files
from tests.acceptance.following import Reader
from tests.services import MakeProject, Project

pytestmark = pytest.mark.slow


@pytest.fixture
def demo(make_project: MakeProject) -> Project:
    return make_project("sqlite", demo=True)


def reader(name: str, project: Project) -> Reader:
    return Reader(path=f"docs/{name}.md", project=project)


def backup(project: Project, *options: str | Path) -> str:
    return str(project.json("create_backup", *options)["package"])


def documents(project: Project) -> Any:
    return project.evaluate('M["documents.document"].objects.count()')


def test_tutorial(make_project: MakeProject, tmp_path: Path) -> None:
    newcomer = reader("tutorial", make_project("sqlite"))
    package = {"/tmp/x.tar.gz": tmp_path / "x.tar.gz"}

    newcomer.leaves_out("make demo")  # see test_demo
    newcomer.types()
    newcomer.fails(3, package, "Say --confirm to do it")
    newcomer.types()
    assert documents(newcomer.project) == 0
    assert "safety" in newcomer.types()
    assert "digest equal" in newcomer.types(package)
    assert documents(newcomer.project) == 5
    newcomer.types()
    assert "undo-" in newcomer.types()
    newcomer.leaves_out("make up")  # see test_up
    newcomer.leaves_out("pip install PATH/TO/THIS/CLONE")  # see tests/integration/release
    assert newcomer.types().count("succeeded") == 2
    assert newcomer.has_finished()


def test_back_up_now(demo: Project) -> None:
    operator = reader("how-to/back-up-now", demo)

    assert "succeeded" in operator.types()
    operator.leaves_out("python manage.py create_backup --json")  # the same, through jq
    for name in files(demo):
        (demo.media / name).unlink()
    assert demo.manage("create_backup").returncode == 1
    assert "succeeded" in operator.types()
    assert "failed" in operator.types()
    package = str(demo.json("list_packages")["packages"][0]["name"])
    assert operator.types({"NAME": package}).count("succeeded") == 2
    assert operator.has_finished()


def test_encrypt(demo: Project, tmp_path: Path) -> None:
    operator = reader("how-to/encrypt", demo)
    identity = tmp_path / "identity.txt"

    operator.types({"identity.txt": identity})
    public = identity.read_text().splitlines()[0].removeprefix("# public key: ")
    before = contents(demo)
    package = backup(replace(demo, variables={"BACKUP_RECIPIENTS": public}))
    demo.succeed("system_reinit", "--confirm", "--no-safety-backup")
    operator.types({"NAME": package, "/path/to/identity.txt": identity})
    assert contents(demo) == before
    assert operator.has_finished()


def test_sign(demo: Project, tmp_path: Path) -> None:
    operator, key = reader("how-to/sign", demo), tmp_path / "signing.key"

    operator.types({"signing.key": key})
    assert key.stat().st_mode & 0o077 == 0
    public = key.read_text().splitlines()[0].removeprefix("# public key: ")
    unsigned = backup(demo)
    signing = {"BACKUP_SIGNING_KEY_FILE": str(key), "BACKUP_TRUSTED_KEYS": public}
    trusting = replace(demo, variables=signing)
    trusting.succeed("verify_package", backup(trusting))
    assert trusting.manage("verify_package", unsigned).returncode == 6
    assert operator.has_finished()


def test_merge(demo: Project) -> None:
    operator, package = reader("how-to/merge", demo), backup(demo)
    demo.evaluate(
        'M["documents.document"].objects.filter(author__username="eva").update(title="new")'
    )

    operator.types({"NAME": package})
    operator.types({"NAME": package})
    changed = 'M["documents.document"].objects.filter(title="new")'
    assert demo.evaluate(f"{changed}.count()") == 0
    number = demo.evaluate('M["documents.document"].objects.first().natural_key()[0]')
    gone = 'M["documents.document"].objects.get_by_natural_key'
    demo.evaluate(f"setattr(d := {gone}({number!r}), 'title', 'new') or d.save()")
    assert demo.evaluate(f"{changed}.count()") == 1
    operator.types({"NAME": package, "SOP-001": number})
    assert demo.evaluate(f"{changed}.count()") == 0
    assert operator.has_finished()


def test_reset(demo: Project) -> None:
    operator = reader("how-to/reset", demo)

    operator.types()
    assert documents(demo) == 0
    operator.types(stdin="correct-horse-battery\n" * 2)
    assert operator.has_finished()


def test_restore_a_part(demo: Project, tmp_path: Path) -> None:
    operator, package = reader("how-to/restore-a-part", demo), backup(demo)

    operator.types({"NAME": package})
    part = tmp_path / "documents.tar.zst"
    operator.types({"documents.tar.zst": part})
    demo.succeed("verify_package", part)
    assert operator.has_finished()


def test_undo_a_restore(demo: Project) -> None:
    before = contents(demo)
    demo.succeed("system_reinit", "--confirm", "--no-safety-backup")
    operator = reader("how-to/undo-a-restore", demo)

    operator.types()
    assert contents(demo) == before
    assert operator.has_finished()


def test_resume_or_cancel(make_project: MakeProject, redis_url: str) -> None:
    project = make_project("sqlite", demo=True, redis_url=redis_url)
    operator = reader("how-to/resume-or-cancel", project)
    waiting = [str(project.json("create_backup", "--enqueue")["run"]) for _ in range(2)]

    operator.chooses(0)
    operator.chooses(0, {"RUN": waiting[0]})
    operator.types({"RUN": waiting[1]})
    assert operator.has_finished()
    listed = project.succeed("runs").stdout
    assert re.search(rf"{waiting[0]} +succeeded", listed)
    assert re.search(rf"{waiting[1]} +cancelled", listed)


def test_retention(demo: Project) -> None:
    operator, package = reader("how-to/retention", demo), backup(demo)

    assert package in operator.types()
    operator.types()
    operator.types({"NAME": package})
    assert "-hourly-" in operator.types()
    operator.leaves_out("python manage.py adopt_installation")  # see the runbook of a lost database
    assert operator.has_finished()


def test_leave_a_model_out(demo: Project) -> None:
    operator, package = reader("how-to/leave-a-model-out", demo), backup(demo)

    if operator.has("jq", "zstd"):
        name = package.removesuffix(".tar.zst")
        assert "sessions.session" in operator.types({"NAME": demo.store / name})
    else:
        operator.leaves_out("zstd")
    assert "succeeded" in operator.types()
    assert operator.has_finished()


def test_upgrade(demo: Project) -> None:
    operator = reader("how-to/upgrade", demo)

    made = re.search(r"succeeded: (\S+)", operator.types())
    assert made is not None
    package = {"NAME": made[1]}
    assert "succeeded" in operator.types(package)
    operator.leaves_out("pip install --upgrade")  # a later version is not there
    operator.leaves_out("python manage.py migrate")  # check --deploy is for production's settings
    assert "succeeded" in operator.types(package)
    operator.leaves_out("python manage.py migrate backup_tasks")  # of a version that is not there
    assert operator.has_finished()
