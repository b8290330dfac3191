"""What must not be restored is refused with its own exit code, and live stays as it is."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.manifest import FieldEntry
from backup_tasks.package.signature import generate_key
from tests.acceptance.contents import contents
from tests.acceptance.crafting import Craft, Row
from tests.services import ENGINES, MakeProject, Project, Templates

DAMAGED, KEY, INVALID, MISFIT = 5, 6, 7, 8
NUMBER = "SOP-2026-0001"


@pytest.fixture(scope="module")
def package(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the demonstration, made on SQLite."""
    folder = tmp_path_factory.mktemp("package")
    project = templates.copy("sqlite", folder, demo=True)
    target = folder / "good.tar.gz"
    project.succeed("create_backup", "--output", target)
    return target


@pytest.fixture
def craft(package: Path, tmp_path: Path) -> Craft:
    return Craft.of(package, tmp_path / "craft")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """How a command was refused."""

    code: int
    words: str
    error: dict[str, Any]


def refused(project: Project, *arguments: str | Path) -> Refused:
    """Run a command that must fail, must leave live as it is."""
    before = contents(project)
    done = project.manage(*arguments, "--json")
    assert done.returncode != 0, done.stdout
    after = contents(project)
    assert after == before
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    (error,) = answer["errors"]
    assert error["exit_code"] == done.returncode
    assert error["hint"]
    return Refused(code=done.returncode, words=done.stderr, error=error)


def restoring(package: Path | str, *more: str) -> tuple[str | Path, ...]:
    return ("restore_from_package", package, "--type", "full", "--confirm", *more)


@pytest.fixture(scope="module", params=ENGINES)
def live(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """One live project per engine for all refusals: none may change it."""
    project = templates.copy(request.param, tmp_path_factory.mktemp("live"), demo=True)
    yield project
    templates.discard(project)


# Damage


@pytest.mark.parametrize("where", [0.0, 0.02, 0.5, 0.97, 1.0])
def test_a_package_with_one_byte_changed_is_refused(
    live: Project, package: Path, tmp_path: Path, where: float
) -> None:
    """P1."""
    data = bytearray(package.read_bytes())
    data[int((len(data) - 1) * where)] ^= 0x40
    changed = tmp_path / "changed.tar.gz"
    changed.write_bytes(data)

    assert refused(live, *restoring(changed)).code == DAMAGED


def test_a_changed_package_beside_its_sidecar_is_refused(
    live: Project, package: Path, tmp_path: Path
) -> None:
    data = bytearray(package.read_bytes())
    data[len(data) // 3] ^= 1
    (tmp_path / "good.tar.gz").write_bytes(data)
    (tmp_path / "good.json").write_bytes(package.with_name("good.json").read_bytes())

    found = refused(live, *restoring(tmp_path / "good.tar.gz"))

    assert found.code == DAMAGED
    assert "SHA-256" in found.words


@pytest.mark.parametrize("kept", [0, 0.001, 0.5, 0.9999])
def test_a_package_cut_in_half_is_refused(
    live: Project, package: Path, tmp_path: Path, kept: float
) -> None:
    """P1, P7."""
    data = package.read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(data[: int(len(data) * kept)])

    assert refused(live, *restoring(cut)).code == DAMAGED


def test_a_file_that_is_no_package_is_refused(live: Project, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_text("BEGIN; CREATE TABLE users_user …")

    assert refused(live, *restoring(tmp_path / "x.tar.gz")).code == DAMAGED


def test_an_unknown_package_is_refused_by_name(live: Project) -> None:
    found = refused(live, *restoring("nightly-2020"))

    assert found.code == 1
    assert found.error["kind"] == "PackageNotFound"
    assert "nightly-2020" in found.words
    assert "list_packages" in found.words


# Rows that are not what the manifest says


def test_one_row_less_than_the_manifest_says_is_refused_with_both_figures(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    """S5, P3: every sum of the package agrees with it, and still it holds less than it claims."""
    craft.change("audit.auditentry", lambda rows: rows[:-1])
    craft.claim("audit.auditentry", count=45)

    found = refused(live, *restoring(craft.write(tmp_path / "less.tar.gz")))

    assert found.code == DAMAGED
    assert found.error["object"] == "audit.auditentry"
    assert "45 rows" in found.words
    assert "holds 44" in found.words


def edit_title(rows: list[Row]) -> list[Row]:
    rows[0]["fields"]["title"] += "!"
    return rows


def edit_password(rows: list[Row]) -> list[Row]:
    rows[0]["fields"]["password"] = "!"
    return rows


def edit_key(rows: list[Row]) -> list[Row]:
    rows[0]["_pk"] += 1000
    return rows


def edit_generic_key(rows: list[Row]) -> list[Row]:
    rows[0]["fields"]["object_id"] = "4711"
    return rows


@pytest.mark.parametrize(
    ("label", "edit"),
    [
        ("documents.document", edit_title),
        ("users.user", edit_password),
        ("users.signature", edit_key),
        ("audit.auditentry", edit_generic_key),
    ],
)
def test_rows_with_other_content_than_was_backed_up_are_refused(
    live: Project,
    craft: Craft,
    tmp_path: Path,
    label: str,
    edit: Callable[[list[Row]], list[Row]],
) -> None:
    """T1, F3: the counts are right, the rows are not. Loaded, read back, and not believed."""
    craft.change(label, edit)

    found = refused(live, *restoring(craft.write(tmp_path / "other.tar.gz")))

    assert found.code == INVALID
    assert f"{label}: " in found.words
    assert "Live data was not touched" in found.words


def test_a_row_that_refers_to_nothing_is_refused(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    def orphan(rows: list[Row]) -> list[Row]:
        rows[0]["_fk"]["author"] = 4711
        return rows

    craft.change("documents.document", orphan)

    found = refused(live, *restoring(craft.write(tmp_path / "orphan.tar.gz")))

    assert found.code in (1, INVALID)
    assert "documents" in found.words


def test_a_file_with_other_bytes_than_the_list_says_is_refused(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    data = bytearray(craft.write(tmp_path / "whole.tar").read_bytes())
    place = data.index(b"%PDF")
    data[place] ^= 1
    (tmp_path / "file.tar").write_bytes(data)

    found = refused(live, *restoring(tmp_path / "file.tar"))

    assert found.code == DAMAGED
    assert ".pdf" in found.words


# Packages of another project, or of another time


def test_a_model_that_is_not_installed_is_named_never_skipped(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    """T11, P3: 100 of 120 rows restored, exit code 0."""
    entry = craft.entry("users.signature")
    other = replace(
        entry, label="training.course", table="training_course", member=None, count=0, size=0,
        sha256="",
    )  # fmt: skip
    craft.manifest = replace(craft.manifest, models=(*craft.manifest.models, other))

    found = refused(live, *restoring(craft.write(tmp_path / "model.tar.gz")))

    assert found.code == MISFIT
    assert "training.course" in found.words


def test_a_field_that_is_gone_is_named(live: Project, craft: Craft, tmp_path: Path) -> None:
    """T11."""
    fields = craft.entry("documents.document").fields
    gone = FieldEntry(name="barcode", column="barcode", type="CharField", relation=None)
    craft.claim("documents.document", fields=(*fields, gone))

    found = refused(live, *restoring(craft.write(tmp_path / "field.tar.gz")))

    assert found.code == MISFIT
    assert "documents.document.barcode" in found.words


def test_a_model_that_the_package_does_not_know_is_named(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    """P3, P11: the table would be emptied, or stay, without anybody having said so."""
    models = tuple(m for m in craft.manifest.models if m.label != "users.signature")
    craft.manifest = replace(craft.manifest, models=models)

    found = refused(live, *restoring(craft.write(tmp_path / "unknown.tar.gz")))

    assert found.code == MISFIT
    assert "users.signature" in found.words


def test_a_package_of_newer_code_is_refused_naming_the_migration(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    """P11: others only warned, and the restore then half worked."""
    newer = (*craft.manifest.migrations, ("documents", "0099_barcode"))
    craft.manifest = replace(craft.manifest, migrations=newer)

    found = refused(live, *restoring(craft.write(tmp_path / "newer.tar.gz")))

    assert found.code == MISFIT
    assert "documents.0099_barcode" in found.words


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


# Order of work


def test_a_second_run_that_writes_to_live_is_refused_naming_the_first(
    project: Project, package: Path
) -> None:
    """F12."""
    start = """
from backup_tasks import chains
print(chains.start("reinit", trigger="command", params={}).pk)
"""
    active = project.succeed("shell", "--no-imports", "-c", start).stdout.strip()

    restore = refused(project, *restoring(package))
    reset = refused(project, "system_reinit", "--confirm")
    undo = refused(project, "undo_restore", "--confirm")

    for found in (restore, reset, undo):
        assert found.code == 4
        assert active in found.words


def test_a_dry_run_says_what_would_happen_and_touches_nothing(live: Project, package: Path) -> None:
    before, store = contents(live), _names(live)

    plan = live.json("restore_from_package", package, "--type", "full", "--dry-run")["plan"]
    reset = live.json("system_reinit", "--dry-run")["plan"]

    assert plan["models"]["documents.document"] == {"now": 5, "then": 5}
    assert plan["files"] == {"now": 5, "then": 5}
    assert reset["models"]["users.user"] == {"now": 10, "then": None}
    assert contents(live) == before
    assert _names(live) == store
    assert live.evaluate('M["backup_tasks.undopoint"].objects.count()') == 0


def test_a_dry_run_refuses_what_the_restore_would_refuse(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    craft.manifest = replace(
        craft.manifest, migrations=(*craft.manifest.migrations, ("documents", "0099_barcode"))
    )
    newer = craft.write(tmp_path / "newer.tar.gz")

    found = refused(live, "restore_from_package", newer, "--type", "full", "--dry-run")

    assert found.code == MISFIT


def test_nothing_destructive_happens_when_the_safety_backup_fails(
    make_project: MakeProject, engine: str, package: Path
) -> None:
    """F9: “Proceeding without backup”. Here it can't be made: what it is encrypted to is no key."""
    project = make_project(engine, demo=True, variables={"BACKUP_RECIPIENTS": "age1notakey"})

    restore = refused(project, *restoring(package))
    reset = refused(project, "system_reinit", "--confirm")

    assert restore.code == reset.code == KEY
    assert not project.store.exists() or list(project.store.iterdir()) == []


def test_an_existing_file_is_never_overwritten_by_a_backup(live: Project, tmp_path: Path) -> None:
    precious = tmp_path / "x.tar.gz"
    precious.write_text("precious")

    found = refused(live, "create_backup", "--output", precious)

    assert found.code == 2
    assert precious.read_text() == "precious"


def _names(project: Project) -> list[str]:
    """Everything in the project's folder, the ledger's own database apart."""
    return sorted(
        str(path.relative_to(project.folder))
        for path in project.folder.rglob("*")
        if not path.name.startswith("edms.sqlite3-")
    )
