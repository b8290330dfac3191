"""Answers what a user may do, from the roles that they hold today."""

from dataclasses import dataclass
from enum import Enum

from django.db import models

from edms.users.models import Role, User, today


class Ability(Enum):
    """What a role lets its holders do; the value is the field of `Role` that says so."""

    AUTHOR = "may_author"
    REVIEW = "may_review"
    APPROVE = "may_approve"
    PUBLISH = "may_publish"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a user is in the company today."""

    roles: frozenset[int]
    """Primary keys of the roles held, and of those that these inherit from."""
    abilities: frozenset[Ability]
    """What these roles allow."""


def standing_of(user: User) -> Standing:
    """Return the roles and abilities of `user` today.

    A superuser may do everything; an inactive user nothing. Two queries, whatever the depth of the
    role tree.
    """
    if not user.is_active:
        return Standing(roles=frozenset(), abilities=frozenset())
    held = user.role_assignments.filter(_in_force()).values_list("role_id", flat=True)
    waiting = list(held)
    tree = {role.pk: role for role in Role.objects.all()} if waiting else {}
    roles: set[int] = set()
    while waiting:
        pk = waiting.pop()
        parent = tree[pk].inherits_from_id
        if pk not in roles and parent is not None:
            waiting.append(parent)
        roles.add(pk)
    allowed = {
        ability for ability in Ability if any(getattr(tree[pk], ability.value) for pk in roles)
    }
    return Standing(
        roles=frozenset(roles),
        abilities=frozenset(Ability) if user.is_superuser else frozenset(allowed),
    )


def abilities(user: User) -> frozenset[Ability]:
    """Return what `user` may do today."""
    return standing_of(user).abilities


def people_with(ability: Ability) -> "models.QuerySet[User]":
    """Return the active users whose roles grant `ability` today, ordered by name."""
    roles = {role.pk: role for role in Role.objects.all()}

    def grants(role: Role | None) -> bool:
        passed: set[int] = set()
        while role is not None and role.pk not in passed:
            if getattr(role, ability.value):
                return True
            passed.add(role.pk)
            role = roles.get(role.inherits_from_id) if role.inherits_from_id else None
        return False

    granting = [role.pk for role in roles.values() if grants(role)]
    holders = _in_force("role_assignments__") & models.Q(role_assignments__role__in=granting)
    return (
        User.objects.filter(holders, is_active=True).distinct().order_by("first_name", "username")
    )


def _in_force(path: str = "") -> models.Q:
    """The role assignments that hold today, reached over `path`."""
    day = today()
    ends = models.Q(**{f"{path}valid_until__isnull": True}) | models.Q(
        **{f"{path}valid_until__gte": day}
    )
    return ends & models.Q(**{f"{path}valid_from__lte": day})
