"""A package of the demonstration, and live projects that no refusal may change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.crafting import Craft
from tests.services import ENGINES, Project, Templates


@pytest.fixture(scope="module")
def package(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the demonstration, made on SQLite."""
    folder = tmp_path_factory.mktemp("package")
    project = templates.copy("sqlite", folder, demo=True)
    target = folder / "good.tar.gz"
    project.succeed("create_backup", "--output", target)
    return target


@pytest.fixture
def craft(package: Path, tmp_path: Path) -> Craft:
    return Craft.of(package, tmp_path / "craft")


@pytest.fixture(scope="module", params=ENGINES)
def live(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """One live project per engine for all refusals: none may change it."""
    project = templates.copy(request.param, tmp_path_factory.mktemp("live"), demo=True)
    yield project
    templates.discard(project)
