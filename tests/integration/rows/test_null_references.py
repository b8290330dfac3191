"""Many NULL foreign keys must not make the join slow."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connections, transaction
from pytest_django import DjangoDbBlocker

from backup_tasks.rows.query import Query
from tests.services import Project, as_default_database
from tests.testapp.models import Headquarters

HASH = "Hash Batches"
MANY = """
INSERT INTO testapp_headquarters (id, city, best_id)
    SELECT n, n, CASE WHEN n % 3 = 0 THEN n + 1 END FROM generate_series(1, 40000) n;
INSERT INTO testapp_branch (id, city, head_id) SELECT n, n, 1 FROM generate_series(1, 80000) n;
SET CONSTRAINTS ALL IMMEDIATE;
ANALYZE testapp_headquarters, testapp_branch;
SET LOCAL work_mem = '256kB'; SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off
"""


def test_a_join_takes_few_batches_though_most_rows_refer_to_nothing(
    awkward_project: Callable[..., Project], django_db_blocker: DjangoDbBlocker
) -> None:
    """NULLs have one hash value: PostgreSQL splits their batch until there are 131,072."""
    project = awkward_project("postgres", populated=False)
    with django_db_blocker.unblock(), as_default_database(project), transaction.atomic():
        query = Query(Headquarters, connections["default"])
        query.add_path("t", Headquarters, "best__city")
        with connections["default"].cursor() as cursor:
            cursor.execute(MANY)
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.sql()}")
            (plan,) = cursor.fetchone()
        transaction.set_rollback(True)

    batches = [node[HASH] for node in _nodes(plan[0]["Plan"]) if HASH in node]
    assert batches
    assert max(batches) < 256


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
