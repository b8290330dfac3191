"""Fields of a project's own that lose, hide or refuse: through backup, restore and merge, no model
is left out without its name, and no table is unequal."""

import codecs
import json
import zlib
from pathlib import Path
from typing import Any

from django.db import connection, models

from tests.acceptance.merging import changes, merge
from tests.commonapps.models import OfUnkindKey, Patient, Unkind, UnkindKey, Visit
from tests.integration.merge.conftest import OnProject
from tests.integration.rows.stored import insert, stored
from tests.integration.rows.transfer import run

OURS: list[type[models.Model]] = [UnkindKey, OfUnkindKey, Unkind, Patient, Visit]
SECRET = "the combination is 1234"
ROWS: list[dict[str, Any]] = [
    {
        "secret": codecs.encode(SECRET, "rot13"),
        "zipped": zlib.compress(SECRET.encode()),
        "empty": "",
        "moment": "2026-11-22 22:33:55.123456",
        "price": "12.3456",
        "words": "a,b",
        "strict": "odd",
        "hidden": codecs.encode(json.dumps({"a": SECRET}), "rot13"),
        "wrapped": 7,
    },
    {
        "secret": "",
        "zipped": b"not zipped",
        "empty": "x",
        "words": "",
        "strict": "",
        "hidden": "{}",
    },
    {"secret": "\u20ac \U0001f600", "zipped": b"\x00\xff", "empty": " ", "strict": "\\N"},
    {"secret": "NULL", "empty": "\t", "words": ",,", "zipped": b"", "price": "-0.0001"},
]
"""What the columns hold."""


def fill() -> None:
    for number, row in enumerate(ROWS):
        insert(Unkind, id=10 + number, code=f"c{number}", **row)
    for number, key in enumerate(("a", "\u00fc 'b'", "")):
        insert(UnkindKey, id=key, name=f"n{number}")
        moment = f"2026-11-22 22:33:55.00000{number + 1}"
        insert(OfUnkindKey, id=20 + number, moment=moment, key_id=key)
    insert(Patient, id=3, name=codecs.encode(SECRET, "rot13"))
    insert(Visit, id=4, code="v", patient_id=3)


def held() -> dict[str, list[Any]]:
    """The rows in the database's own terms, by model."""
    return {model._meta.label_lower: sorted(stored(model)) for model in OURS}


def test_what_their_columns_hold_comes_back_and_is_merged(
    on_new_project: OnProject, tmp_path: Path
) -> None:
    package = tmp_path / "unkind.tar"
    with on_new_project():
        fill()
        before = held()
        run("backup", output=str(package))
        with connection.cursor() as cursor:
            for model in (Visit, Patient, OfUnkindKey, UnkindKey, Unkind):
                cursor.execute(f"DELETE FROM {model._meta.db_table}")

        restored = run("restore", package=str(package), safety=False)

        assert held() == before
        figures = {label: restored.report["models"][label] for label in before}
        assert all(each["digest_equal"] for each in figures.values())
        assert {label: each["after"] for label, each in figures.items()} == {
            label: len(rows) for label, rows in before.items()
        }
        assert SECRET.encode() not in package.read_bytes()
    with on_new_project():
        insert(Unkind, id=10, code="c1", secret="other", empty="", strict="odd")
        insert(UnkindKey, id="a", name="n0")

        merge(package, on_conflict="package")

        by_code = {label: rows for label, rows in held().items() if label != "commonapps.unkind"}
        assert by_code == {k: v for k, v in before.items() if k != "commonapps.unkind"}
        assert _without_ids(held()) == _without_ids(before)
        assert changes(merge(package).report["merge"]) == {}


def _without_ids(rows: dict[str, list[Any]]) -> list[Any]:
    return sorted(row[1:] for row in rows["commonapps.unkind"])
