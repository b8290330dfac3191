"""Those of tests/unit/runs/test_execution.py that ask the database, on PostgreSQL."""

from tests.unit.runs.test_execution import (  # noqa: F401
    test_a_step_writes_its_result_on_a_new_connection_when_the_old_one_was_cut,
    test_a_worker_that_was_taken_over_writes_nothing,
)
