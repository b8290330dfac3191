"""A small project per engine, with two packages: whichever is live, the other can be restored."""

from collections.abc import Iterator

import pytest

from tests.chaos.subject import Subject, fill, project_in, subject_of
from tests.services import ENGINES


@pytest.fixture(scope="module", params=ENGINES)
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    """Lives through all tests of a module, and every death that they order."""
    folder, url = tmp_path_factory.mktemp("chaos"), ""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        name = server.new_name()
        url = server.create_database(name)
    project = project_in(folder / "project", request.param, url)
    with subject_of(project) as subject:
        for generation in ("a", "b"):
            package = folder / f"{generation}.tar.zst"
            fill(project, generation)
            subject.succeed("create_backup", "--output", package)
            subject.packages[generation] = package
            subject.states[generation] = subject.state()
        yield subject
    if url:
        server.drop_database(name)
