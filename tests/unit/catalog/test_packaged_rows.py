"""What is shown of the rows of a package: their keys, and no secret that a field decrypts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from django.db import models
from django.test.utils import isolate_apps

from backup_tasks.errors import PackageDamaged
from backup_tasks.package.entries import FieldEntry, ModelEntry
from backup_tasks.package.manifest import Manifest
from backup_tasks.restore import packaged_rows
from backup_tasks.restore.packaged_rows import HIDDEN, PackagedRows
from tests.testapp.unkind import Encrypted
from tests.unit.package.content import manifest_of, model_entry

LABEL = "testapp.letter"


def manifest(*, format: int = 2, clear: str = "") -> Manifest:
    return replace(
        manifest_of([]), format=format, database={"vendor": "sqlite", "clear_fields": clear}
    )


def entry(*fields: str, key: tuple[str, ...] = ("number",)) -> ModelEntry:
    plain = model_entry(1, LABEL, b"")
    described = tuple(
        FieldEntry(name=name, column=name, type="TextField", relation=None) for name in fields
    )
    return replace(plain, fields=described, natural_key=key)


def line(pk: int = 1, raw: dict[str, Any] | None = None, **fields: Any) -> bytes:
    return orjson.dumps(
        {"model": LABEL, "fields": fields, "_pk": pk, **({"_raw": raw} if raw else {})}
    )


@pytest.fixture
def letter(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[models.Model]]:
    """A model that is installed here, with a field that decrypts."""
    with isolate_apps("tests.testapp"):

        class Letter(models.Model):
            number = models.TextField(unique=True)
            secret = Encrypted()

            class Meta:
                app_label = "testapp"

            def __str__(self) -> str:
                return self.number

        monkeypatch.setattr(
            packaged_rows,
            "_installed",
            {LABEL: Letter}.get,
        )
        yield Letter


def test_what_a_field_decrypts_is_not_shown_whatever_the_package_holds(
    letter: type[models.Model],
) -> None:
    for of in (manifest(), manifest(format=1), manifest(clear=f"{LABEL}.secret")):
        rows = PackagedRows(of, entry("number", "secret"))
        (row,) = rows.rows(iter([line(number="L-1", secret="in clear")]))
        assert row.values == {"number": "L-1", "secret": HIDDEN}


def test_a_secret_in_a_natural_key_is_neither_shown_nor_found(letter: type[models.Model]) -> None:
    rows = PackagedRows(manifest(), entry("number", "secret", key=("secret",)))
    lines = [line(pk=7, number="L-1", secret="in clear")]
    assert [row.key for row in rows.rows(iter(lines))] == ["7"]
    assert [*rows.rows(iter(lines), search="clear")] == []


def test_of_a_model_that_is_not_installed_only_what_the_package_vouches_for_is_shown() -> None:
    lines = [line(number="L-1", secret="in clear", text="open")]
    names = ("number", "secret", "text")
    shown = {
        "old": PackagedRows(manifest(format=1), entry(*names)),
        "new": PackagedRows(manifest(clear=f"{LABEL}.secret"), entry(*names)),
    }
    found = {name: next(rows.rows(iter(lines))).values for name, rows in shown.items()}
    assert set(found["old"].values()) == {HIDDEN}
    assert found["new"] == {"number": "L-1", "secret": HIDDEN, "text": "open"}


def test_a_key_of_several_fields_is_one_text_that_is_searched_in_any_case() -> None:
    rows = PackagedRows(manifest(), entry("document", "number", key=("document__code", "number")))
    lines = [line(document=["SOP-1"], number=n) for n in (1, 2, 10)]
    assert [row.key for row in rows.rows(iter(lines))] == ["SOP-1/1", "SOP-1/2", "SOP-1/10"]
    assert [row.number for row in rows.rows(iter(lines), search="sop-1/1")] == [1, 3]
    assert [row.number for row in rows.rows(iter(lines), start=2, search="sop")] == [2, 3]


def test_values_are_shown_as_text_that_a_page_can_take() -> None:
    rows = PackagedRows(manifest(), entry("number", "text", "nothing", "kept"))
    raw = {"kept": "as stored"}
    (row,) = rows.rows(
        iter([line(raw=raw, number="\x1b[2J", text=[1, None], nothing=None, kept=None)])
    )
    assert row.key == "\\x1b[2J"
    assert row.values == {
        "number": "\\x1b[2J",
        "text": "[1,null]",
        "nothing": "–",
        "kept": "as stored",
    }


@pytest.mark.parametrize("odd", [b"{", b"[]", b'{"fields":[]}', b'{"fields":{},"_raw":1}', b"\xff"])
def test_a_line_that_is_no_row_is_damage(odd: bytes) -> None:
    with pytest.raises(PackageDamaged, match="row 1 can't be read"):
        next(PackagedRows(manifest(), entry("number")).rows(iter([odd])))
