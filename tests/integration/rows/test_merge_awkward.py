"""A merge of every awkward row: composite, one-to-one and text primary keys, children's tables,
cycles, foreign keys to other columns, names that need quotes."""

from collections.abc import Callable
from pathlib import Path

from pytest_django import DjangoDbBlocker

from tests.acceptance.merging import changes, merge, working_on
from tests.integration.rows.transfer import awkward_models, run, stored
from tests.services import Project
from tests.testapp.models import Boss, Branch, Grill, Headquarters, Node, Team
from tests.testapp.zoo import rows_of


def test_awkward_rows_are_merged_into_empty_tables_and_found_again(
    engine: str,
    awkward_project: Callable[..., Project],
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    source = awkward_project(engine, populated=True)
    target = awkward_project(engine, populated=False)
    package = tmp_path / "zoo.tar"
    managed = [model for model in awkward_models() if model._meta.managed]
    with django_db_blocker.unblock(), working_on(source):
        run("backup", output=str(package), accept_missing_files=True)
        before = stored(managed)
    with django_db_blocker.unblock(), working_on(target):
        merge(package, on_conflict="package")
        assert stored(managed) == before

        assert changes(merge(package).report["merge"]) == {}
        assert stored(managed) == before


def test_awkward_rows_get_other_primary_keys(
    engine: str,
    awkward_project: Callable[..., Project],
    tmp_path: Path,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    source = awkward_project(engine, populated=True)
    target = awkward_project(engine, populated=False)
    package = tmp_path / "zoo.tar"
    with django_db_blocker.unblock(), working_on(source):
        run("backup", output=str(package), accept_missing_files=True)
        before = _by_name()
    with django_db_blocker.unblock(), working_on(target):
        for model, name in ((Node, "name"), (Headquarters, "city"), (Team, "name")):
            for number in range(3):
                rows_of(model).create(**{name: f"own {number}"})
        for number in range(2):
            rows_of(Grill).create(address=f"own {number}", beds=1, stars=1)
        merge(package, on_conflict="package")

        after = _by_name()
        assert {key: after[key] for key in before} == before
        assert len(after) > len(before)


def _by_name() -> dict[str, object]:
    """What refers to what, by name."""
    found: dict[str, object] = {}
    for node in rows_of(Node):
        followed = sorted(node.follows.values_list("name", flat=True))
        friends = sorted(node.friends.values_list("name", flat=True))
        found[f"node {node.name}"] = (node.parent and node.parent.name, followed, friends)
    for branch in rows_of(Branch):
        found[f"branch {branch.city}"] = branch.head.city
    for head in rows_of(Headquarters):
        found[f"head {head.city}"] = head.best and head.best.city
    for boss in rows_of(Boss):
        found[f"boss {boss.name}"] = boss.above.name
    for grill in rows_of(Grill):
        found[f"grill {grill.address}"] = (grill.stars, grill.twin and grill.twin.address)
    for team in rows_of(Team):
        found[f"team {team.name}"] = sorted(team.fans.values_list("name", flat=True))
    return found
