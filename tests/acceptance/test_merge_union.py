"""A merge into an EDMS with rows of its own gives the union of both, whatever the primary keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from edms.documents.models import Tag
from edms.users.models import User
from tests.acceptance.merging import (
    Story,
    changes,
    merge,
    rehearse,
    told,
    work_of_its_own,
    working_on,
)
from tests.services import EVERY_ENGINE, Project, Templates

pytestmark = pytest.mark.parametrize("engine", EVERY_ENGINE)


@pytest.fixture(scope="module")
def story(
    templates: Templates,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Story:
    """What the package tells."""
    source = templates.copy("sqlite", tmp_path_factory.mktemp("source"), demo=True)
    with django_db_blocker.unblock(), working_on(source):
        return told()


@pytest.fixture
def target(project: Project, django_db_blocker: DjangoDbBlocker) -> Iterator[Project]:
    """An EDMS with rows of its own, this process working on it."""
    with django_db_blocker.unblock(), working_on(project):
        work_of_its_own()
        yield project


def test_a_merge_gives_the_union_and_every_reference_leads_to_what_it_meant(
    target: Project, package: Path, story: Story
) -> None:
    """T1: generic keys too; T9: the next row gets a number of its own."""
    own = told()
    # Given: somebody who is in both, under another primary key, and files that are in both
    common = set(own["users"]) & set(story["users"])
    assert common == {"admin", "system"}

    plan = rehearse(package, on_conflict="package")
    assert told() == own
    done = merge(package, on_conflict="package")

    for kind, facts in told().items():
        assert facts == own[kind] | story[kind], kind
    assert changes(done.report["merge"]) == changes(plan)
    assert plan["refused"] == []
    assert done.report["merge"]["models"]["documents.document"]["renumbered"] > 0
    assert Tag.objects.create(name="next").pk
    assert User.objects.create(username="next").pk

    after = told()
    again = merge(package)  # needs no policy now

    assert changes(again.report["merge"]) == {}
    assert told() == after
