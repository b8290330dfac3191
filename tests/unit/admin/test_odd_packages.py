"""Whatever lies in a store, the admin has its pages of packages, and they cost what it is worth."""

import json
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from pytest_django import Settings

from backup_tasks import moments
from backup_tasks.models import Package, Run
from backup_tasks.package.manifest import Manifest
from backup_tasks.package.names import sidecar_name
from backup_tasks.package.sidecar import Sidecar
from backup_tasks.storage.store import Store
from tests.services import Project
from tests.unit.admin.conftest import SignedIn
from tests.unit.package.test_bounds import MB, manifest_with, memory, packed
from tests.unit.package.test_sidecar_fields import ODD

Read = Callable[..., str]
PAGES = ("change", "restore")


@pytest.fixture
def read(signed_in: SignedIn) -> Read:
    """Call it with the name of a page of packages: what the page says, as HTML."""
    client = signed_in("start_backup", "start_restore")

    def content(name: str, *arguments: object) -> str:
        answer = client.get(reverse(f"admin:backup_tasks_package_{name}", args=arguments))
        assert answer.status_code == 200
        return answer.content.decode()

    return content


def test_odd_sidecars_are_named_above_the_list_and_the_good_package_is_in_it(
    read: Read, package: Package, on_demo_project: Project
) -> None:
    store = on_demo_project.store
    good = json.loads(next(store.glob("*.json")).read_text())
    for number, (field, value) in enumerate(ODD):
        odd = {**good, "name": f"odd-{number}.tar.zst", field: value}
        (store / f"odd-{number}.json").write_text(json.dumps(odd))
    (store / "<b>bold<b>.json").write_text("{")

    page = read("changelist")

    assert [n for n in range(len(ODD)) if f"odd-{n}." not in page] == []
    assert "<b>bold" not in page
    assert "<b>bold" in unescape(page)
    assert f">{package.name}<" in page


@pytest.mark.parametrize("name", PAGES)
def test_a_manifest_that_is_larger_than_its_package_is_worth_is_not_read_for_a_page(
    read: Read, package: Package, on_demo_project: Project, name: str
) -> None:
    """6 KB that unfolded to 62 MB took 1.8 GB, before anybody had asked for a signature."""
    Run.objects.all().delete()
    read(name, package.pk)  # what is imported and cached for the first page
    with memory() as usual:
        read(name, package.pk)
    packed(manifest_with() + b" " * (62 * MB), on_demo_project.store / package.name)

    with memory() as peak:
        read(name, package.pk)

    # 1 KiB of zstd may unfold to 32 MiB, and is read as one.
    assert peak[0] < usual[0] + 40 * MB


@pytest.mark.parametrize("name", PAGES)
def test_where_keys_are_trusted_no_manifest_is_parsed_for_a_page(
    read: Read,
    package: Package,
    name: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The signature is of the whole package, and that is not read for a page."""
    Run.objects.all().delete()
    parsed = []
    from_json = Manifest.from_json

    def seen(content: bytes) -> Manifest:
        parsed.append(content)
        return from_json(content)

    monkeypatch.setattr(Manifest, "from_json", seen)
    read(name, package.pk)
    assert parsed if name == "restore" else not parsed, "the test sees where one is"
    parsed.clear()
    settings.BACKUP = {**settings.BACKUP, "TRUSTED_KEYS": ["ed25519:" + "A" * 43 + "="]}

    page = read(name, package.pk)

    assert parsed == []
    assert package.name in page


def test_the_list_reads_the_sidecars_that_changed_since_the_stores_were_read(
    on_demo_project: Project, package: Package, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[str] = []
    listed = Store._listed

    def seen(store: Store, file_name: str) -> Sidecar:
        files.append(file_name)
        return listed(store, file_name)

    monkeypatch.setattr(Store, "_listed", seen)
    sidecar = sidecar_name(package.name)
    Package.objects.update(seen_at=moments.now() - timedelta(hours=1))
    read("changelist")
    assert files == [sidecar], "it is younger than the index"

    files.clear()
    Package.objects.update(seen_at=moments.now() + timedelta(hours=1))
    read("changelist")
    assert files == []

    (on_demo_project.store / package.name).write_bytes(b"half")
    assert "the store holds 4" in read("changelist")
    (on_demo_project.store / "odd.json").write_text("{}")
    read("changelist")
    assert files == [sidecar, "odd.json", sidecar]
