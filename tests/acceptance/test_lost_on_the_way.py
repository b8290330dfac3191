"""S5: the package is whole, and still a row does not arrive. The restore says so and changes
nothing."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from backup_tasks.engines import Engine, engine_for
from backup_tasks.errors import ValidationFailed
from tests.acceptance.contents import contents
from tests.integration.rows.transfer import run
from tests.services import Project


def test_a_row_that_is_lost_while_loading_fails_with_both_figures(
    on_demo_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F3, F4: not at 70 % of the rows, not for five models only. Documents 5 → 0 → 4 is failure."""
    package = tmp_path / "x.tar.zst"
    on_demo_project.succeed("create_backup", "--output", package)
    before = contents(on_demo_project)
    engine = type(engine_for("default"))
    whole = engine.write

    def losing(self: Engine, table: str, columns: Sequence[str], rows: Iterable[Any]) -> int:
        found = list(rows)
        if table in ("documents_accesslog", "audit_auditentry"):
            found = found[1:]
        return whole(self, table, columns, found)

    monkeypatch.setattr(engine, "write", losing)

    with pytest.raises(ValidationFailed) as refused:
        run("restore", package=str(package), safety=False)

    assert refused.value.exit_code == 7
    for label, table in (
        ("documents.accesslog", "documents_accesslog"),
        ("audit.auditentry", "audit_auditentry"),
    ):
        there = before.count(table)
        assert f"{label}: {there} expected, {there - 1} restored" in refused.value.what
    assert "documents.document:" not in refused.value.what
    assert contents(on_demo_project) == before
