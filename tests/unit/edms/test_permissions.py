"""Roles: what they allow, from whom they inherit it, and when."""

from datetime import timedelta

import pytest

from edms.users.models import Role, User, UserRole, today
from edms.users.permissions import Ability, abilities, people_with
from tests.unit.edms.conftest import Demo

DAY = timedelta(days=1)


def test_a_role_allows_what_the_roles_above_it_allow(demo: Demo) -> None:
    assert abilities(demo.user("cleo")) == {Ability.APPROVE, Ability.REVIEW}
    assert abilities(demo.user("dan")) == {Ability.PUBLISH, Ability.AUTHOR}
    assert demo.user("cleo") in people_with(Ability.REVIEW)
    assert demo.user("finn") not in people_with(Ability.REVIEW)


def test_what_is_inherited_over_two_roles_is_inherited(demo: Demo) -> None:
    head = Role.objects.create(name="Head", inherits_from=Role.objects.get(name="Approver"))
    UserRole.objects.create(user=demo.user("finn"), role=head)
    assert abilities(demo.user("finn")) == {Ability.APPROVE, Ability.REVIEW}
    assert demo.user("finn") in people_with(Ability.REVIEW)


def test_roles_that_inherit_from_each_other_end(demo: Demo) -> None:
    reader, author = Role.objects.get(name="Reader"), Role.objects.get(name="Author")
    reader.inherits_from = author
    reader.save()
    assert abilities(demo.user("finn")) == {Ability.AUTHOR}
    assert demo.user("finn") in people_with(Ability.AUTHOR)


@pytest.mark.parametrize(
    ("start", "end", "holds"),
    [(-1, None, True), (0, 0, True), (-9, -1, False), (1, None, False)],
)
def test_a_role_holds_from_its_first_day_to_its_last(
    demo: Demo, start: int, end: int | None, holds: bool
) -> None:
    demo.user("finn").role_assignments.update(
        role=Role.objects.get(name="Reviewer"),
        valid_from=today() + start * DAY,
        valid_until=None if end is None else today() + end * DAY,
    )
    finn = demo.user("finn")
    assert (Ability.REVIEW in abilities(finn)) is holds
    assert (finn in people_with(Ability.REVIEW)) is holds


def test_who_has_left_may_do_nothing(demo: Demo) -> None:
    User.objects.update(is_active=False)
    assert abilities(demo.user("admin")) == abilities(demo.user("hana")) == frozenset()
    assert not people_with(Ability.REVIEW)
