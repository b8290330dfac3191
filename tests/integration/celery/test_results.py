"""Results of tasks reach Django's database, also over a connection that was cut."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection, connections
from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import TaskResult

from backup_tasks.result_backend import ReconnectingBackend
from edms.celery import app
from tests.integration.celery.stage import kill_all_connections
from tests.services import Project


@pytest.fixture
def cut_connection(on_project: Project) -> Iterator[None]:
    """This process' connection is one that the server has ended, as by a restart."""
    connection.ensure_connection()
    cut = connections["default"]
    connections["default"] = connections.create_connection("default")
    kill_all_connections()
    connections["default"].close()
    connections["default"] = cut
    yield
    cut.close()


@pytest.mark.parametrize("engine", ["postgres"])
def test_a_result_is_stored_over_a_new_connection(cut_connection: None) -> None:
    """C6"""
    ReconnectingBackend(app=app).store_result("task-1", {"step": "dump"}, "SUCCESS")

    assert TaskResult.objects.get().status == "SUCCESS"


@pytest.mark.parametrize("engine", ["postgres"])
def test_the_backend_below_fails_which_is_why_there_is_one_above(cut_connection: None) -> None:
    """C6: when this fails, `result_backend.py` can go."""
    with pytest.raises(OperationalError):
        DatabaseBackend(app=app).store_result("task-1", {"step": "dump"}, "SUCCESS")


def test_a_missing_table_is_not_waited_for(on_project: Project) -> None:
    """C11: a chain does not stall because of it, the worker's log says it."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_celery_results_taskresult")

    with pytest.raises(OperationalError, match="no such table"):
        ReconnectingBackend(app=app).store_result("task-1", {"step": "dump"}, "SUCCESS")
