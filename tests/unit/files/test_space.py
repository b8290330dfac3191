"""A disk that will not do is told before anything is made, with figures."""

import shutil
from pathlib import Path

import pytest

from backup_tasks.errors import StorageRefused
from backup_tasks.storage.disk_space import Need, require


def test_what_fits_is_not_refused(tmp_path: Path) -> None:
    require([Need(what="rows", folder=tmp_path / "not" / "yet", size=1000)])

    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused_with_what_is_needed_what_is_free_and_where(
    tmp_path: Path,
) -> None:
    much = 10**18

    with pytest.raises(StorageRefused) as refused:
        require([Need(what="the files", folder=tmp_path / "media", size=much)])

    told = str(refused.value)
    assert "1000000000.0 GB needed (the files 1000000000.0 GB)" in told
    assert " free" in told
    assert str(tmp_path) in told
    assert "Free some space there" in refused.value.hint


def test_needs_on_one_disk_add_up(tmp_path: Path) -> None:
    """Two that would fit alone do not fit together."""
    most = int(shutil.disk_usage(tmp_path).free * 0.7)
    needs = [Need(what=name, folder=tmp_path / name, size=most) for name in ("rows", "files")]
    for need in needs:
        require([need])

    with pytest.raises(StorageRefused, match=r"rows .* files"):
        require(needs)
