"""An EDMS in which no model is empty, through backup, reset and restore: nothing is another thing
than it was. The figures of the user's document are in `test_cycle`."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edms.audit.recording import CONTROLLED
from tests.acceptance.contents import CONTROL, Contents, contents
from tests.acceptance.crafting import Craft
from tests.services import ENGINES, Project, Templates

Figures = tuple[int, str, str, dict[str, int]]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What an EDMS held, by four ways to look at it."""

    contents: Contents
    keys: dict[str, list[Any] | None]
    """Where each generic key leads, by natural keys; None: its object was deleted."""
    recorded: dict[str, str]
    """The SHA-256 on record for each stored file."""
    figures: dict[str, Figures]
    """Of a package made then: each model's count, both digests, and references to nothing."""


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """What there was before the reset and after the restore."""

    empty: list[str]
    before: Moment
    after: Moment
    restore: dict[str, Any]


def at_work(project: Project, *functions: str) -> list[Any]:
    """Call functions of `at_work` inside the project; returns what they return."""
    calls = ", ".join(f"at_work.{function}()" for function in functions)
    code = f"import json; from tests.acceptance import at_work; print(json.dumps([{calls}]))"
    found: list[Any] = json.loads(project.succeed("shell", "--no-imports", "-c", code).stdout)
    return found


def look_at(project: Project, package: Path, *, keys: Any, recorded: Any) -> Moment:
    project.succeed("create_backup", "--output", package)
    craft = Craft.of(package, package.with_suffix(".unpacked"))
    return Moment(
        contents=contents(project),
        keys=keys,
        recorded=recorded,
        figures={
            entry.label: (entry.count, entry.digest, entry.exact, dict(entry.dangling))
            for entry in craft.manifest.models
        },
    )


@pytest.fixture(scope="module", params=ENGINES)
def cycle(
    request: pytest.FixtureRequest,
    templates: Templates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cycle]:
    folder = tmp_path_factory.mktemp(f"every-model-{request.param}")
    project = templates.copy(request.param, folder, demo=True)
    package = folder / "before.tar"
    _, empty, keys, recorded = at_work(project, "day", "empty", "keys", "recorded")
    before = look_at(project, package, keys=keys, recorded=recorded)
    project.succeed("system_reinit", "--confirm", "--no-safety-backup")
    restore = project.json(
        *("restore_from_package", package, "--type", "full", "--confirm", "--no-safety-backup")
    )
    keys, recorded = at_work(project, "keys", "recorded")
    after = look_at(project, folder / "after.tar", keys=keys, recorded=recorded)
    yield Cycle(empty=empty, before=before, after=after, restore=restore)
    templates.discard(project)


def test_no_model_is_empty(cycle: Cycle) -> None:
    """What has no rows proves nothing."""
    tables = [label.lower().replace(".", "_") for label in cycle.empty]
    assert [table for table in tables if not table.startswith(CONTROL)] == []


def test_every_column_of_every_row_is_what_it_was(cycle: Cycle) -> None:
    """T2, T10: withdrawn comments, children of other models, generated, binary and JSON values."""
    assert cycle.restore["ok"], cycle.restore["errors"]
    assert cycle.after.contents.tables == cycle.before.contents.tables
    assert min(map(len, cycle.before.contents.tables.values())) > 0


def test_every_model_has_the_count_and_the_digests_it_had(cycle: Cycle) -> None:
    """S5, F4. A second package says the same of every model as the first one."""
    figures = cycle.before.figures
    assert len(figures) == len(cycle.before.contents.tables) - 1, "all but django_migrations"
    assert cycle.after.figures == figures
    assert cycle.restore["digests_equal"] == dict.fromkeys(figures, True)


def test_every_generic_key_leads_to_the_object_it_led_to(cycle: Cycle) -> None:
    """T1. Every kind of controlled object is led to; what was deleted does not come back."""
    assert cycle.after.keys == cycle.before.keys
    kinds = {target[0] for target in cycle.before.keys.values() if target is not None}
    assert kinds == {model._meta.model_name for model in CONTROLLED}
    assert None in cycle.before.keys.values()


def test_every_file_has_the_sha256_that_is_on_record(cycle: Cycle) -> None:
    """F6."""
    files = cycle.after.contents.files
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert cycle.after.recorded == cycle.before.recorded
    assert {name: hashes.get(name) for name in cycle.after.recorded} == cycle.after.recorded
    assert files == cycle.before.contents.files
