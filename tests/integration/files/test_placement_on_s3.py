"""The tests of tests/unit/files/test_placement.py, on S3."""

import pytest
from pytest_django import Settings

from backup_tasks.storage.files import Tree
from tests.unit.files.test_placement import *  # noqa: F403
from tests.unit.files.test_placement import change, held, prepare, tree_of


@pytest.fixture(params=["s3"])  # type: ignore[no-redef]  # instead of theirs
def tree(request: pytest.FixtureRequest, settings: Settings) -> Tree:
    """An empty bucket. The tests that name a folder get one."""
    return tree_of(request, settings)


def test_a_file_beside_a_folder_of_its_name_is_found_among_what_is_staged(tree: Tree) -> None:
    """S3 can have both; a listing tells them in an order of its own."""
    both = {"a": b"new", "a/b": b"new", "a.txt": b"new"}
    prepare(tree, dict.fromkeys(both, b"old"), both)
    change(tree)
    assert held(tree) == both
