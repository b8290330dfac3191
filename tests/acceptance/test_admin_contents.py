"""An operator looks into a package, takes one object back, and uploads a package, in a browser."""

import shutil
from pathlib import Path

from tests.acceptance.admin_browser import Browser, barriers
from tests.acceptance.test_admin import Site, console_errors, operator, site, until_ended

__all__ = ["operator", "site"]  # fixtures


def fits_and_bars_nobody(operator: Browser) -> None:
    """On a phone; a desk has more room."""
    operator.resize(390, 844)
    assert operator.overflow() <= 0, operator.path()
    assert barriers(operator.driver) == [], operator.path()
    operator.resize(1280, 900)


def link(operator: Browser, text: str) -> None:
    """Follow the link with that text."""
    found = operator.driver.find_elements("link text", text)
    assert found, f"{text} is on {operator.path()}"
    operator.driver.get(str(found[0].get_attribute("href")))


def test_an_operator_looks_into_a_package_takes_an_object_back_and_uploads_a_package(
    operator: Browser, site: Site, tmp_path: Path
) -> None:
    site.project.evaluate("M['documents.tag'].objects.create(name='lost since')")
    operator.open("/admin/backup_tasks/run/")
    operator.press("#backup-now")
    until_ended(operator)
    site.project.evaluate("M['documents.tag'].objects.filter(name='lost since').delete()")

    operator.open("/admin/backup_tasks/package/")
    operator.press("#result_list tbody th a")
    operator.press("#backup-live-counts")
    assert operator.has("td[data-label='Live now']")
    fits_and_bars_nobody(operator)
    operator.press("#backup-look")
    fits_and_bars_nobody(operator)
    link(operator, "documents.tag")
    operator.find("#backup-q").send_keys("LOST")
    operator.press("[role=search] button")
    fits_and_bars_nobody(operator)
    link(operator, "lost since")
    fits_and_bars_nobody(operator)

    operator.press("#backup-object")
    fits_and_bars_nobody(operator)
    operator.press("#backup-plan")
    assert "the plan says what a merge would do" in until_ended(operator)
    fits_and_bars_nobody(operator)
    operator.press("#backup-merge")
    fits_and_bars_nobody(operator)
    operator.find("#id_typed").send_keys(operator.text("#backup-expected"))
    operator.press("#backup-confirm")
    assert "proven to be in live" in until_ended(operator)
    tags = "M['documents.tag'].objects.filter(name='lost since').count()"
    assert site.project.evaluate(tags) == 1

    elsewhere = moved_away(site, tmp_path / "elsewhere")
    operator.open("/admin/backup_tasks/package/")
    operator.press("#backup-refresh")
    operator.press("#backup-to-upload")
    fits_and_bars_nobody(operator)
    package, sidecar = elsewhere
    operator.find("#backup-package").send_keys(str(package))
    operator.find("#backup-sidecar").send_keys(str(sidecar))
    operator.press("#backup-upload")
    assert "every row and file is what its manifest says" in until_ended(operator)
    assert (site.project.store / package.name).read_bytes() == package.read_bytes()
    operator.open("/admin/backup_tasks/package/?q=" + package.name)
    operator.press("#result_list tbody th a")
    operator.press("#backup-look")
    operator.press("a[href$='/look/files/']")
    fits_and_bars_nobody(operator)
    assert console_errors(operator) == []


def moved_away(site: Site, folder: Path) -> tuple[Path, Path]:
    """Take the oldest package out of the store; return where it and its sidecar are."""
    folder.mkdir()
    sidecar = min(site.project.store.glob("*.json"), key=lambda path: path.stat().st_mtime)
    found = sorted(site.project.store.glob(f"{sidecar.stem}.*"))
    for path in found:
        shutil.move(path, folder / path.name)
    package = next(path for path in found if ".tar" in path.name)
    return folder / package.name, folder / sidecar.name
