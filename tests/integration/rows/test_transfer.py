"""Every awkward row arrives as it left: on the same database, and on another one."""

import datetime as dt
import uuid
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType

from tests.integration.rows.transfer import Row, Transfer
from tests.testapp.zoo import EXTREMES, GONE, THEN


def comparable(value: Any) -> Any:
    """The same value, whichever of the two databases has stored it: SQLite has no booleans,
    moments or UUIDs of its own."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(value, dt.date | dt.time):
        return str(value)
    if isinstance(value, memoryview):
        return bytes(value)
    return value


def same_engine(transfer: Transfer) -> bool:
    return transfer.source == transfer.target


def test_the_tables_of_the_same_database_hold_what_they_held(transfer: Transfer) -> None:
    """T1, T2, T6, T10, T12, T13, T15: compared with a bare SELECT, column by column."""
    if not same_engine(transfer):
        pytest.skip("databases store values in ways of their own; the digests compare these")

    theirs = {"testapp.foreign"}
    assert {k: v for k, v in transfer.after.items() if k not in theirs} == {
        k: v for k, v in transfer.before.items() if k not in theirs
    }
    assert sum(map(len, transfer.before.values())) > 70


def test_the_same_data_has_the_same_digest_on_every_database(transfer: Transfer) -> None:
    """The restore read the target with its own engine and compared with the source's digest."""
    digests = {
        label: figures["digest_equal"]
        for label, figures in transfer.report["models"].items()
        if label.startswith("testapp.")
    }
    assert len(digests) > 40
    assert set(digests.values()) == {True}


def test_counts_are_reported_for_every_model(transfer: Transfer) -> None:
    """S5, P3."""
    for label, rows in transfer.before.items():
        if label == "testapp.foreign":
            continue
        figures = transfer.report["models"][label]
        assert figures["expected"] == figures["after"] == len(rows), label


@pytest.mark.parametrize("number", range(len(EXTREMES)))
def test_extreme_values_arrive(transfer: Transfer, number: int) -> None:
    """T3, T10: microseconds, largest and smallest, years before 1000, 4-byte characters, bytes."""
    pk = 10 + 7 * number
    before = next(row for row in transfer.before["testapp.everything"] if row["id"] == pk)
    after = next(row for row in transfer.after["testapp.everything"] if row["id"] == pk)
    for column in ("char", "text", "slug", "small", "integer", "big", "positive", "number"):
        assert after[column] == before[column], column
    for column in ("boolean", "date", "file", "binary", "time"):
        assert comparable(after[column]) == comparable(before[column]), column


def test_microseconds_are_written_in_full(transfer: Transfer) -> None:
    """T3: DjangoJSONEncoder would have written 06.123."""
    fields = transfer.line("testapp.stamped", 3)["fields"]
    assert fields["created"] == "2001-02-03T04:05:06.123457+00:00"


def test_times_that_write_themselves_stay_as_they_were(transfer: Transfer) -> None:
    """T4, F5."""
    (row,) = transfer.after["testapp.stamped"]
    expected = THEN.replace(tzinfo=None).isoformat(" ")
    assert [comparable(row[name]) for name in ("created", "updated")] == [expected, expected]
    assert comparable(row["day"]) == "2001-02-03"


def test_null_and_empty_stay_apart(transfer: Transfer) -> None:
    """T10: empty text against NULL, an empty list against nothing, JSON's null against SQL's."""
    rows = {row["id"]: row for row in transfer.after["testapp.everything"]}
    assert (rows[10]["char"], rows[10]["text"], rows[10]["data"]) == (None, None, None)
    assert (rows[17]["char"], rows[17]["text"]) == ("", "")
    assert bytes(rows[17]["binary"]) == b""
    assert rows[1000]["data"] is not None or transfer.target == "postgres"
    assert transfer.line("testapp.everything", 1000)["_raw"] == {"data": "null"}
    assert "_raw" not in transfer.line("testapp.everything", 10)


def test_json_keeps_order_and_integers_of_any_size(transfer: Transfer) -> None:
    line = transfer.line("testapp.everything", 31)
    assert line["fields"]["data"][3:5] == [12345678901234567890123, -(2**70)]
    before = next(row for row in transfer.before["testapp.plain"] if row["name"] == "first")
    after = next(row for row in transfer.after["testapp.plain"] if row["name"] == "first")
    if same_engine(transfer):
        assert after["data"] == before["data"]


def test_generic_keys_lead_where_they_led(transfer: Transfer) -> None:
    """T1, T7: content types have other ids in every database; rows are found by both keys."""
    assert [
        (row["id"], row["content_type_id"], row["object_id"])
        for row in transfer.after["testapp.note"]
    ] == [
        (row["id"], row["content_type_id"], row["object_id"])
        for row in transfer.before["testapp.note"]
    ]
    assert transfer.line("testapp.note", 1)["fields"]["content_type"] == ["testapp", "node"]


def test_references_that_led_nowhere_lead_nowhere_and_are_told(transfer: Transfer) -> None:
    """T12, T14: kept as they were, with the number in the manifest."""
    assert dict(transfer.entry("testapp.loose").dangling) == {"node": 1, "uuid": 1}
    # A row that is gone, a model that is not installed, a model without a table.
    assert dict(transfer.entry("testapp.note").dangling) == {"about": 3}
    assert dict(transfer.entry("testapp.pointer").dangling) == {}
    loose = next(row for row in transfer.after["testapp.loose"] if row["id"] == 2)
    assert loose["node_id"] == 4711
    assert uuid.UUID(str(loose["uuid_id"])) == GONE


def test_rows_that_managers_hide_or_refuse_are_in_the_package(transfer: Transfer) -> None:
    """T2, T13, T17: default manager, base manager and m2m accessor included."""
    assert [line["fields"]["name"] for line in transfer.lines("testapp.hidden")] == [
        "seen",
        "deleted",
    ]
    assert transfer.entry("testapp.scoped").count == 1
    assert transfer.entry("testapp.scopedgroup").count == 1
    assert transfer.entry("testapp.scoped_others").count == 1


def test_every_kind_of_many_to_many_arrives(transfer: Transfer) -> None:
    """F5, T10: plain, to itself (symmetrical or not), and with a model in between."""
    counts = {
        label: len(transfer.after[f"testapp.{label}"])
        for label in ("team_fans", "node_friends", "node_follows", "membership")
    }
    assert counts == {"team_fans": 2, "node_friends": 2, "node_follows": 2, "membership": 2}
    (first, second) = transfer.lines("testapp.team_fans")
    assert {first["fields"]["friend"][0], second["fields"]["friend"][0]} == {"Bo", "Cy"}


def test_cycles_arrive(transfer: Transfer) -> None:
    """T6: to itself, to a row that comes later, mutual, and without NULL."""
    nodes = {row["id"]: row["parent_id"] for row in transfer.after["testapp.node"]}
    assert nodes == {90: 70, 70: None, 80: 80}
    bosses = {row["id"]: row["above_id"] for row in transfer.after["testapp.boss"]}
    assert bosses == {52: 53, 53: 52}
    assert transfer.line("testapp.headquarters", 51)["fields"]["best"] == ["Ghent"]
    assert transfer.line("testapp.branch", 61)["fields"]["head"] == ["Bergen"]


def test_every_table_of_an_inheritance_arrives_and_a_proxy_has_none(transfer: Transfer) -> None:
    """T10."""
    counts = {name: len(transfer.after[f"testapp.{name}"]) for name in ("house", "inn", "grill")}
    assert counts == {"house": 4, "inn": 3, "grill": 2}
    excluded = {entry.label: entry.reason for entry in transfer.manifest.excluded}
    assert "testapp.inn" in excluded["testapp.innproxy"]


def test_a_foreign_key_to_a_proxy_is_written_by_natural_key(transfer: Transfer) -> None:
    """T10, invariant 8: with a raw key, Django's loaddata would meet another row."""
    assert transfer.line("testapp.ofproxy", 74)["fields"]["inn"] == ["Main street"]


def test_every_kind_of_primary_key_arrives(transfer: Transfer) -> None:
    """T10: UUID, text (an empty one too), one-to-one, of two columns."""
    assert sorted(row["code"] for row in transfer.after["testapp.charkey"]) == ["", "C/1 ü"]
    assert [row["owner_id"] for row in transfer.after["testapp.onetoonekey"]] == ["C/1 ü"]
    assert sorted(
        (row["tenant"], row["number"], row["owner_id"])
        for row in transfer.after["testapp.compound"]
    ) == [(1, 2, "C/1 ü"), (2, 1, None)]
    uuids = {uuid.UUID(str(row["id"])) for row in transfer.after["testapp.uuidkey"]}
    assert uuids == {uuid.UUID(int=1), uuid.UUID(int=2)}


def test_natural_keys_are_followed_through_foreign_keys(transfer: Transfer) -> None:
    """S1."""
    assert transfer.entry("testapp.slotted").natural_key == (
        "shelf__owner__code",
        "shelf__label",
        "position",
    )
    assert transfer.line("testapp.slotted", 33)["fields"]["shelf"] == ["C/1 ü", "top"]
    assert transfer.line("testapp.tofield", 32)["fields"]["shelf"] == ["C/1 ü", "top"]


def test_an_ambiguous_natural_key_gives_way_to_the_primary_key_with_a_warning(
    transfer: Transfer,
) -> None:
    """T20."""
    assert transfer.entry("testapp.ambiguous").identity == "primary key"
    (warning,) = [line for line in transfer.manifest.warnings if "testapp.ambiguous" in line]
    assert "name" in warning
    assert "twin" in warning
    assert transfer.line("testapp.ofambiguous", 37)["fields"]["target"] == 36


@pytest.mark.parametrize("name", ["computed", "raising", "querying", "counting"])
def test_a_natural_key_that_can_not_be_traced_is_not_relied_on(
    transfer: Transfer, name: str
) -> None:
    """T20: computed, broken, a query per row, or a model that writes when it is made."""
    entry = transfer.entry(f"testapp.{name}")
    assert entry.identity == ("natural" if name == "counting" else "primary key")
    assert len(transfer.after[f"testapp.{name}"]) == 1


def test_finding_out_about_natural_keys_writes_nothing(transfer: Transfer) -> None:
    """T18, T20: a default that takes a number was not called."""
    assert len(transfer.after["testapp.charkey"]) == len(transfer.before["testapp.charkey"]) == 2


def test_a_column_that_the_database_computes_is_computed_again(transfer: Transfer) -> None:
    """T10."""
    assert "loud" not in transfer.line("testapp.computation", 9)["fields"]
    assert transfer.after["testapp.computation"] == [{"id": 9, "word": "quiet", "loud": "QUIET"}]


def test_a_field_of_somebodys_own_goes_by_its_own_methods(transfer: Transfer) -> None:
    assert transfer.line("testapp.dotted", 4)["fields"]["words"] == "a.b"
    assert transfer.after["testapp.dotted"] == [{"id": 4, "words": "a.b"}, {"id": 5, "words": None}]


def test_odd_names_of_tables_and_columns_are_quoted(transfer: Transfer) -> None:
    """T10."""
    (first, second) = transfer.after["testapp.oddnames"]
    assert first["it''s; ünïcode"] == "o'clock; --"
    assert second["Other Id"] == 6


def test_what_is_not_in_the_package_is_said_with_the_reason(transfer: Transfer) -> None:
    """T10, T14, invariant 3: every installed model is in the manifest."""
    excluded = {entry.label: entry.reason for entry in transfer.manifest.excluded}
    assert "swapped for testapp.SwitchedIn" in excluded["testapp.switched"]
    assert "not managed" in excluded["testapp.foreign"]
    assert "does not exist" in excluded["testapp.absent"]
    assert transfer.entry("testapp.switchedin").count == 1


def test_another_programs_table_is_left_alone(transfer: Transfer) -> None:
    """T14."""
    assert transfer.after["testapp.foreign"] == []


def test_keys_inside_json_stay_true(transfer: Transfer) -> None:
    """T15: because every key stays as it was."""
    assert transfer.line("testapp.pointer", 1)["fields"]["data"] == {"node": 90, "user": [1, 2]}
    assert 90 in {row["id"] for row in transfer.after["testapp.node"]}


def test_the_next_row_gets_a_key_that_is_free(transfer: Transfer) -> None:
    """T9."""
    taken = {label: _largest(transfer.after[label]) for label in transfer.next_keys}
    for label, key in transfer.next_keys.items():
        assert key > taken[label], label


def _largest(rows: list[Row]) -> int:
    return max(int(row["house_ptr_id" if "house_ptr_id" in row else "id"]) for row in rows)


def test_a_line_is_what_djangos_loaddata_takes(transfer: Transfer) -> None:
    """Invariant 8: model, fields, pk where it is the identity; the rest starts with “_”."""
    for entry in transfer.manifest.models:
        for line in transfer.lines(entry.label):
            known = {"model", "fields"} | ({"pk"} if entry.identity == "primary key" else set())
            assert {name for name in line if not name.startswith("_")} <= known
            assert line["model"] == entry.label


def test_content_types_are_not_doubled(transfer: Transfer) -> None:
    """T7, T16, T17: migrate made its own in the target, with other ids."""
    keys = [
        (line["fields"]["app_label"], line["fields"]["model"])
        for line in transfer.lines(ContentType._meta.label_lower)
    ]
    assert len(keys) == len(set(keys))
    figures = transfer.report["models"]["contenttypes.contenttype"]
    assert figures["after"] == len(keys)
