"""The tests of tests/unit/files/test_placement.py, on S3."""

import pytest
from pytest_django import Settings

from backup_tasks.storage.files import Tree
from tests.unit.files.test_placement import *  # noqa: F403
from tests.unit.files.test_placement import tree_of


@pytest.fixture(params=["s3"])  # type: ignore[no-redef]  # instead of theirs
def tree(request: pytest.FixtureRequest, settings: Settings) -> Tree:
    """An empty bucket. The tests that name a folder get one."""
    return tree_of(request, settings)
