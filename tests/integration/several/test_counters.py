"""No primary key and no number of a sequence is given twice, in any of several databases."""

from django.db import connections

from backup_tasks import api
from edms.documents.models import Tag
from tests.integration.several.conftest import Two

ALIASES = ("default", "archive")


def with_sequences() -> list[str]:
    """Make a sequence that no column owns where the engine has any; return the aliases."""
    found = [alias for alias in ALIASES if connections[alias].vendor != "sqlite"]
    for alias in found:
        with connections[alias].cursor() as cursor:
            cursor.execute("CREATE SEQUENCE sinking INCREMENT BY -2 MINVALUE -1000 MAXVALUE 100")
            if connections[alias].vendor == "postgresql":
                cursor.execute(
                    "ALTER TABLE documents_tag ALTER name SET DEFAULT nextval('sinking')::text"
                )
            else:
                cursor.execute("ALTER TABLE documents_tag ALTER name SET DEFAULT nextval(sinking)")
    return found


def given(sequences: list[str]) -> dict[str, int]:
    """Give a key in each database, and a number of each sequence, and take the rows away. All
    grow."""
    keys = {}
    for alias in ALIASES:
        tag = Tag.objects.using(alias).create(name="gone")
        keys[f"key of {alias}"] = int(tag.pk)
        tag.delete()
    for alias in sequences:
        name = "'sinking'" if connections[alias].vendor == "postgresql" else "sinking"
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT nextval({name})")
            keys[f"sequence of {alias}"] = -int(cursor.fetchone()[0])
    return keys


def test_after_a_restore_an_undo_and_a_merge_each_goes_on(two: Two) -> None:
    sequences = with_sequences()
    last = given(sequences)
    assert len(last) == 2 + len(sequences)
    package = {"package": str(two.package), "safety": False}
    api.run_here("backup", {"output": str(two.package)})
    one = {**package, "type": "database"}
    for kind, params in (
        ("restore", package),
        ("undo", {}),
        ("restore", {**one, "database": "archive"}),
        ("restore", {**one, "database": "default", "mode": "merge"}),
    ):
        last = given(sequences)
        api.run_here(kind, params)
        now = given(sequences)
        assert {name: now[name] > last[name] for name in now} == dict.fromkeys(now, True), kind
