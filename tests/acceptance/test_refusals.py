"""What must not be restored is refused with its own exit code, and live stays as it is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backup_tasks.package.entries import FieldEntry
from tests.acceptance.crafting import Craft, Row
from tests.acceptance.refusing import DAMAGED, INVALID, MISFIT, refused, restoring
from tests.services import Project

NUMBER = "SOP-2026-0001"


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
    craft.claim("audit.auditentry", count=50)

    found = refused(live, *restoring(craft.write(tmp_path / "less.tar.gz")))

    assert found.code == DAMAGED
    assert found.error["object"] == "audit.auditentry"
    assert "50 rows" in found.words
    assert "holds 49" in found.words


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


@pytest.mark.parametrize("live", ["sqlite"], indirect=True)  # the package is of that kind too
def test_rows_with_other_primary_keys_are_refused(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    """T15: keys live on in JSON, in addresses, in people's heads."""
    craft.change("notices.notification", edit_key)

    found = refused(live, *restoring(craft.write(tmp_path / "key.tar.gz")))

    assert found.code == INVALID
    assert "notices.notification: 3 restored, with other primary keys" in found.words


def test_a_row_that_refers_to_nothing_is_refused(
    live: Project, craft: Craft, tmp_path: Path
) -> None:
    def orphan(rows: list[Row]) -> list[Row]:
        rows[0]["_fk"]["author"] = 4711
        return rows

    craft.change("documents.document", orphan)

    found = refused(live, *restoring(craft.write(tmp_path / "orphan.tar.gz")))

    assert found.code == INVALID
    assert "documents" in found.words


def test_two_rows_with_one_name_are_refused(live: Project, craft: Craft, tmp_path: Path) -> None:
    def double(rows: list[Row]) -> list[Row]:
        return [*rows, {**rows[0], "_pk": 4711}]

    craft.change("documents.tag", double)

    found = refused(live, *restoring(craft.write(tmp_path / "double.tar.gz")))

    assert found.error["kind"] in ("LoadFailed", "ValidationFailed")  # at once, or at the end
    assert "documents_tag" in found.words


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
