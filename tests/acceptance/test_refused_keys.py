"""Without the right key, or the right signature, nothing is opened, made or restored."""

import json
from pathlib import Path
from typing import Any

import pytest

from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.signature import generate_key
from tests.acceptance.contents import contents
from tests.acceptance.refusing import KEY, refused, restoring
from tests.services import MakeProject, Project

# Keys and signatures


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("keys")
    identity, recipient = generate_identity()
    other, _ = generate_identity()
    secret, public = generate_key()
    for name, text in {"identity": identity, "other": other, "secret": secret}.items():
        (folder / name).write_text(text + "\n")
    return {"folder": folder, "recipient": recipient, "public": public, "identity": identity}


def encrypted(make_project: MakeProject, keys: dict[str, Any], engine: str, **more: str) -> Project:
    variables = {"BACKUP_RECIPIENTS": keys["recipient"], **more}
    return make_project(engine, demo=True, variables=variables)


def test_an_encrypted_package_opens_with_its_key_only(
    make_project: MakeProject, keys: dict[str, Any], tmp_path: Path
) -> None:
    """P6, F13."""
    project = encrypted(make_project, keys, "sqlite")
    package = tmp_path / "secret.tar.zst.age"
    project.succeed("create_backup", "--output", package)
    assert b"Control of documents" not in package.read_bytes()

    without = refused(project, *restoring(package))
    wrong = refused(project, *restoring(package, "--identity", str(keys["folder"] / "other")))
    absent = project.manage(*restoring(package, "--identity", str(tmp_path / "nothing")))

    assert [without.code, wrong.code, absent.returncode] == [KEY, KEY, KEY]
    before = contents(project)
    right = keys["folder"] / "identity"
    project.succeed(*restoring(package, "--identity", str(right)))
    assert contents(project) == before


def test_a_key_never_shows_in_what_is_recorded(
    make_project: MakeProject, keys: dict[str, Any], tmp_path: Path
) -> None:
    """C14, F13: neither the ledger nor an answer holds a key."""
    project = encrypted(make_project, keys, "sqlite")
    package = tmp_path / "secret.tar.zst.age"
    project.succeed("create_backup", "--output", package)
    options = ("--identity", str(keys["folder"] / "identity"), "--json")
    done = project.manage("drill_restore", package, *options)

    assert done.returncode == 0, done.stderr
    recorded = json.dumps(project.json("runs")) + done.stdout + done.stderr
    recorded += json.dumps(project.evaluate('list(M["backup_tasks.run"].objects.values())'))
    assert keys["identity"] not in recorded
    assert "AGE-SECRET-KEY" not in recorded


def test_encryption_that_was_asked_for_without_a_recipient_fails_closed(
    live: Project, tmp_path: Path
) -> None:
    """P6, F13: encryption configured, cleartext uploaded."""
    found = refused(live, "create_backup", "--encrypt", "--output", tmp_path / "x.tar.zst.age")

    assert found.code == KEY
    assert list(tmp_path.iterdir()) == []


def test_a_bad_recipient_fails_closed(make_project: MakeProject, tmp_path: Path) -> None:
    """P6."""
    project = make_project("sqlite", variables={"BACKUP_RECIPIENTS": "age1notakey"})

    found = refused(project, "create_backup", "--output", tmp_path / "x.tar.zst.age")

    assert found.code == KEY
    assert list(tmp_path.glob("x*")) == []
    assert not project.store.exists() or list(project.store.iterdir()) == []


def test_only_packages_signed_by_a_trusted_key_are_restored(
    make_project: MakeProject, keys: dict[str, Any], package: Path, tmp_path: Path
) -> None:
    """Whoever can write to the store can encrypt to a public key, but not sign."""
    trusting = {"BACKUP_TRUSTED_KEYS": keys["public"]}
    signing = trusting | {"BACKUP_SIGNING_KEY_FILE": str(keys["folder"] / "secret")}
    project = make_project("sqlite", demo=True, variables=signing)

    unsigned = refused(project, *restoring(package))
    naked = tmp_path / "naked.tar.gz"
    naked.write_bytes(package.read_bytes())
    without_sidecar = refused(project, *restoring(naked))

    assert (unsigned.code, unsigned.error["kind"]) == (KEY, "SignatureInvalid")
    assert (without_sidecar.code, without_sidecar.error["kind"]) == (KEY, "SignatureInvalid")
    own = tmp_path / "own.tar.zst"
    project.succeed("create_backup", "--output", own)
    before = contents(project)
    project.succeed(*restoring(own))
    assert contents(project) == before
    project.succeed(*restoring(package, "--allow-unsigned"))


def test_a_sidecar_that_was_touched_no_longer_counts_as_signed(
    make_project: MakeProject, keys: dict[str, Any], tmp_path: Path
) -> None:
    project = make_project(
        "sqlite",
        variables={
            "BACKUP_TRUSTED_KEYS": keys["public"],
            "BACKUP_SIGNING_KEY_FILE": str(keys["folder"] / "secret"),
        },
    )
    project.succeed("create_backup", "--output", tmp_path / "x.tar.zst")
    sidecar = json.loads((tmp_path / "x.json").read_text())
    sidecar["label"] = "another"
    (tmp_path / "x.json").write_text(json.dumps(sidecar))

    found = refused(project, *restoring(tmp_path / "x.tar.zst"))

    assert (found.code, found.error["kind"]) == (KEY, "SignatureInvalid")
