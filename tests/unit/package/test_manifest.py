from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backup_tasks.errors import DoesNotFit, PackageDamaged
from backup_tasks.package import manifest as module
from backup_tasks.package.manifest import FileIndex, Manifest
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.package.streams import Written

from .content import ROWS, manifest_of, model_entry

MANIFEST = manifest_of([model_entry(1, "users.user", ROWS["users.user"])])
Values = dict[str, Any]


def changed(change: Callable[[Values], object]) -> bytes:
    """Return a manifest altered by hand, with a fitting checksum."""
    values = json.loads(MANIFEST.to_json())
    change(values)
    values.pop("sha256", None)
    values["sha256"] = module._sha256(values)
    return json.dumps(values).encode()


def test_a_manifest_comes_back_equal() -> None:
    files = FileIndex(count=2, total_size=3, sha256="f" * 64, size=9)
    without_rows = replace(MANIFEST.models[0], count=0, member=None, size=0, sha256="")

    for manifest in (
        MANIFEST,
        replace(MANIFEST, files=files),
        replace(MANIFEST, models=()),
        replace(MANIFEST, models=(without_rows,)),
        replace(MANIFEST, models=(replace(MANIFEST.models[0], natural_key=None),)),
        replace(MANIFEST, warnings=("a file called \udcff",)),
    ):
        assert Manifest.from_json(manifest.to_json()) == manifest


def test_totals_add_up_over_models_and_files() -> None:
    files = FileIndex(count=2, total_size=30, sha256="f" * 64, size=9)

    totals = replace(MANIFEST, files=files).totals

    assert (totals.models, totals.rows, totals.files) == (1, 3, 2)
    assert totals.content_size == MANIFEST.models[0].size + 30


def test_a_newer_format_does_not_fit_and_both_are_named() -> None:
    with pytest.raises(DoesNotFit, match=r"format 3\b.*format 2\b") as caught:
        Manifest.from_json(changed(lambda values: values.update(format=3, new_in_3=True)))

    assert caught.value.exit_code == 8


@pytest.mark.parametrize("key", sorted(json.loads(MANIFEST.to_json())))
def test_a_missing_key_is_named(key: str) -> None:
    if key == "sha256":
        values = json.loads(MANIFEST.to_json())
        del values[key]
        content = json.dumps(values).encode()
    else:
        content = changed(lambda values: values.pop(key))

    with pytest.raises(PackageDamaged, match=repr(key)):
        Manifest.from_json(content)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "1"),
        ("format", 0),
        ("format", True),
        ("id", 7),
        ("type", "everything"),
        ("created_at", "yesterday"),
        ("created_at", "2026-11-22T22:33:55"),
        ("created_at", "2026-11-22T22:33:55+01:00"),
        ("versions", {"python": 3}),
        ("migrations", [["users"]]),
        ("migrations", {"users": "0001"}),
        ("models", {}),
        ("models", [7]),
        ("excluded", None),
        ("files", []),
        ("warnings", "none"),
        ("totals", {"models": 1}),
    ],
)
def test_a_value_of_another_type_is_named(key: str, value: object) -> None:
    with pytest.raises(PackageDamaged, match=key):
        Manifest.from_json(changed(lambda values: values.update({key: value})))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("count", -1),
        ("count", 3.0),
        ("count", True),
        ("size", "9"),
        ("sha256", "F" * 64),
        ("member", None),
        ("member", "database/001-users.other.jsonl"),
        ("identity", "guess"),
        ("natural_key", "username"),
        ("natural_key", [1]),
        ("fields", [{}]),
        ("dangling", {"manager": "1"}),
        ("surprise", 1),
    ],
)
def test_a_wrong_value_within_a_model_is_refused(key: str, value: object) -> None:
    with pytest.raises(PackageDamaged):
        Manifest.from_json(changed(lambda values: values["models"][0].update({key: value})))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"format": 1, "format": 1}',
        b'{"format": NaN}',
        b"\xff\xfe",
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_json_object_is_damage(content: bytes) -> None:
    with pytest.raises(PackageDamaged, match=r"manifest\.json"):
        Manifest.from_json(content)


def test_unknown_keys_are_named_not_ignored() -> None:
    with pytest.raises(PackageDamaged, match="surprise"):
        Manifest.from_json(changed(lambda values: values.update(surprise=1)))


def test_totals_that_do_not_add_up_are_damage() -> None:
    with pytest.raises(PackageDamaged, match="totals"):
        Manifest.from_json(changed(lambda values: values["totals"].update(rows=4)))


def test_a_model_named_twice_is_damage() -> None:
    twice = replace(MANIFEST, models=MANIFEST.models * 2)

    with pytest.raises(PackageDamaged, match=r"users\.user"):
        Manifest.from_json(twice.to_json())


def test_a_changed_manifest_does_not_have_its_checksum() -> None:
    with pytest.raises(PackageDamaged, match="SHA-256"):
        Manifest.from_json(MANIFEST.to_json().replace(b"nightly", b"weekly!"))


def test_what_a_package_lacks_is_in_manifest_and_sidecar_and_else_no_key_of_it() -> None:
    """An older version reads what a newer one writes, as long as nothing is missing."""
    lacking = replace(MANIFEST, incomplete="storage default: 20 of 20 files")
    accepted = replace(MANIFEST, accepted="storage default: 20 of 20 files")

    assert not {"incomplete", "accepted"} & json.loads(MANIFEST.to_json()).keys()
    for manifest in (lacking, accepted):
        assert Manifest.from_json(manifest.to_json()) == manifest
    with pytest.raises(PackageDamaged, match="incomplete"):
        Manifest.from_json(changed(lambda values: values.update(incomplete="")))


def sidecar_of(manifest: Manifest) -> Sidecar:
    written = Written(size=1, sha256="a" * 64)
    return Sidecar.of(manifest, name="x.tar", written=written, compression="none", recipients=())


def test_the_sidecar_says_that_a_package_is_incomplete_and_signs_it() -> None:
    whole = sidecar_of(MANIFEST)
    lacking = sidecar_of(replace(MANIFEST, incomplete="storage default: 20 of 20 files"))

    assert "incomplete" not in json.loads(whole.to_json())
    assert b"incomplete" not in whole.canonical()
    assert b"20 of 20" in lacking.canonical()
    assert Sidecar.from_json(lacking.to_json(), "x.json") == lacking
