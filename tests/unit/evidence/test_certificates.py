"""Every drill writes a certificate, which the public key alone proves, byte for byte."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client

from backup_tasks.evidence import certificates
from backup_tasks.evidence.certificate_page import verify_page
from backup_tasks.models import Package, Run, Step
from backup_tasks.package import signature
from backup_tasks.package.certificate import Certificate
from edms.users.models import User
from tests.integration.standing.conftest import Change, fails, run_here
from tests.services import Project
from tests.unit.evidence.test_certificate_format import verdict

pytestmark = pytest.mark.usefixtures("on_project")


def folder(project: Project) -> Path:
    return project.store / "certificates"


def certificate_of(project: Project, run: Run) -> Certificate:
    path = folder(project) / f"{run.pk}.json"
    return Certificate.from_json(path.read_bytes(), path.name)


@pytest.fixture
def public(signing: str) -> str:
    """The public key that certificates are signed with."""
    return signature.public_key(signing)


def test_a_drill_certifies_what_it_restored(on_project: Project, public: str) -> None:
    backup, drill = run_here("backup"), run_here("drill")

    found = certificate_of(on_project, drill)

    package = Package.objects.get()
    assert found.verify([public]) == public
    assert (found.run, found.project, found.type) == (drill.pk, package.project, "full")
    assert (found.package.name, found.package.sha256) == (backup.package, package.sha256)
    assert (found.package.size, found.package.signed_by) == (package.size, public)
    assert found.rows == package.rows > 0
    assert {model.label: model.rows for model in found.models} == {
        label: figures["after"] for label, figures in drill.report["models"].items()
    }
    assert all(model.digest and model.exact for model in found.models)
    assert "axes.accessattempt" in {each.label for each in found.excluded}
    assert {"backup_tasks", "Python", "Django", "sqlite"} == set(found.versions)
    assert found.took.total_seconds() > 0
    report = run_here("verify")
    assert Step.objects.get(run=report, name="verify").result.get("certificate") is None


def test_files_are_certified_with_the_list_of_their_digests(
    on_demo_project: Project, public: str
) -> None:
    run_here("backup")

    found = certificate_of(on_demo_project, run_here("drill"))

    assert found.files is not None
    assert found.files.count == Package.objects.get().files > 0
    assert len(found.files.index_sha256) == 64


def test_the_page_has_the_same_and_a_signature_of_its_own(on_project: Project, public: str) -> None:
    run_here("backup")
    drill = run_here("drill")
    found = certificate_of(on_project, drill)

    content = (folder(on_project) / f"{drill.pk}.html").read_bytes()

    assert verify_page(content, "x", [public]) == public
    told = content.decode()
    for model in found.models:
        assert model.label in told
        assert model.digest in told
    assert found.package.sha256 in told
    assert "<script" not in told


def test_a_certificate_is_never_written_again(
    on_project: Project, public: str, signing: str
) -> None:
    run_here("backup")
    drill = run_here("drill")
    first = {path.name: path.read_bytes() for path in folder(on_project).iterdir()}

    certificates._write("backups", certificate_of(on_project, drill), signing)

    assert {path.name: path.read_bytes() for path in folder(on_project).iterdir()} == first


def test_an_attempt_that_was_killed_between_the_two_is_completed(
    on_project: Project, public: str, signing: str
) -> None:
    run_here("backup")
    drill = run_here("drill")
    html = folder(on_project) / f"{drill.pk}.html"
    first = html.read_bytes()
    html.unlink()
    later = replace(certificate_of(on_project, drill), finished_at="2030-01-01T00:00:00+00:00")

    certificates._write("backups", later.signed(signing), signing)

    assert html.read_bytes() == first


def test_no_prune_removes_a_certificate(on_project: Project, public: str, change: Change) -> None:
    change(RETENTION={"daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "share": 1})
    first = run_here("backup")
    drill = run_here("drill")
    for _ in range(2):
        run_here("backup")
        run_here("drill")

    run_here("prune")

    assert not (on_project.store / first.package).exists()
    assert (folder(on_project) / f"{drill.pk}.json").exists()


def test_a_certificate_is_no_package_and_no_trouble(on_project: Project, public: str) -> None:
    run_here("backup")
    run_here("drill")

    assert call_command("list_packages") is None
    assert Package.objects.count() == 1


def test_a_drill_of_rows_only_certifies_no_files(on_project: Project, public: str) -> None:
    run_here("backup")

    found = certificate_of(on_project, run_here("drill", type="database"))

    assert (found.type, found.files) == ("database", None)


def test_a_drill_that_fails_has_no_certificate(on_project: Project, public: str) -> None:
    run_here("backup")
    fails("drill", package="nowhere.tar.zst")

    assert not folder(on_project).exists()


def test_without_a_key_it_is_written_and_proves_nothing(on_project: Project) -> None:
    run_here("backup")
    drill = run_here("drill")

    assert certificate_of(on_project, drill).signed_by == ""
    for ending in ("json", "html"):
        content = (folder(on_project) / f"{drill.pk}.{ending}").read_bytes()
        _, public = signature.generate_key()
        assert verdict(content, public, as_page=ending == "html") == "SignatureInvalid"


def test_a_host_that_trusts_keys_and_has_none_is_warned(
    on_project: Project, public: str, change: Change
) -> None:
    run_here("backup")
    change(SIGNING_KEY=None)

    assert any("not signed" in line for line in run_here("drill").report["warnings"])


def test_a_store_that_takes_no_certificate_is_a_warning_of_a_drill_that_has_proven(
    on_project: Project, public: str
) -> None:
    run_here("backup")
    folder(on_project).touch()

    drill = run_here("drill")

    assert drill.state == Run.State.SUCCEEDED
    assert any("no certificate was written" in line for line in drill.report["warnings"])


def test_the_command_says_what_is_so(
    on_project: Project, public: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_here("backup")
    drill = run_here("drill")
    path = folder(on_project) / f"{drill.pk}.json"
    key = tmp_path / "public.key"
    key.write_text(f"# of the shop\n{public}\n")

    call_command("verify_certificate", str(path))
    told = capsys.readouterr().out
    assert f"{drill.pk} proved" in told
    assert public in told
    call_command("verify_certificate", str(path), key=[str(key)])
    call_command("verify_certificate", str(path.with_suffix(".html")), key=[public])
    capsys.readouterr()
    call_command("verify_certificate", str(path), json=True)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["certificate"]["run"]) == (True, drill.pk)

    _, other = signature.generate_key()
    for arguments, code in (
        ([str(path), "--key", other], 6),
        ([str(path), "--key", "/nowhere"], 2),
        ([str(tmp_path / "missing.json")], 2),
        ([str(on_project.store / f"{drill.package.split('.')[0]}.json")], 5),
    ):
        with pytest.raises(CommandError) as refused:
            call_command("verify_certificate", *arguments)
        assert refused.value.returncode == code, arguments


@pytest.mark.parametrize(("permission", "code"), [("view_run", 200), ("view_undopoint", 403)])
def test_the_admin_serves_it_as_a_stranger_s_page(
    on_project: Project, public: str, permission: str, code: int
) -> None:
    run_here("backup")
    drill = run_here("drill")
    user = User.objects.create_user("ada", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename=permission))
    client = Client()
    client.force_login(user)

    answer = client.get(f"/admin/backup_tasks/run/{drill.pk}/certificate/html/")

    assert answer.status_code == code
    if code == 200:
        assert "sandbox" in answer["Content-Security-Policy"]
        assert answer.content == (folder(on_project) / f"{drill.pk}.html").read_bytes()
        assert client.get(f"/admin/backup_tasks/run/{drill.pk}/certificate/x/").status_code == 404


def test_the_page_of_a_package_has_its_history(on_project: Project, public: str) -> None:
    run_here("backup")
    drill = run_here("drill")
    run_here("verify")
    client = Client()
    client.force_login(User.objects.create_superuser("root"))

    told = client.get(f"/admin/backup_tasks/package/{Package.objects.get().pk}/change/")

    text = told.content.decode()
    assert f"/admin/backup_tasks/run/{drill.pk}/certificate/html/" in text
    assert text.count("<tr>") >= 4
    for name in ("Drill", "Verif", "Backup"):
        assert name in text
