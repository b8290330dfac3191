"""The people of the demonstration: a small company with one of each role."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.contrib.auth.models import Group, Permission

from edms.demo import PASSWORD
from edms.demo.drawing import squiggle
from edms.users.models import Department, Role, Signature, User, UserRole


@dataclass(frozen=True, kw_only=True)
class Person:
    """One user of the demonstration."""

    username: str
    first_name: str
    last_name: str
    job_title: str
    department: str
    manager: str
    roles: tuple[str, ...]
    groups: tuple[str, ...] = ()


DEPARTMENTS = {
    "ACME": ("Acme Instruments", None),
    "QA": ("Quality assurance", "ACME"),
    "PROD": ("Production", "ACME"),
    "LAB": ("Laboratory", "PROD"),
}

GROUPS = {
    "Auditors": (
        "view_document", "view_documentversion", "view_documentworkflow", "view_auditentry"
    ),
    "Office": ("view_user", "change_user"),
}  # fmt: skip

# A manager may come later in the list: a restore must load rows that refer to later ones.
PEOPLE = (
    Person(
        username="ada", first_name="Ada", last_name="Lindqvist", job_title="Technical writer",
        department="QA", manager="hana", roles=("Author",), groups=("Office",),
    ),
    Person(
        username="ben", first_name="Ben", last_name="Okafor", job_title="Quality engineer",
        department="QA", manager="hana", roles=("Reviewer",),
    ),
    Person(
        username="cleo", first_name="Cleo", last_name="Marchetti", job_title="Quality lead",
        department="QA", manager="hana", roles=("Approver",), groups=("Auditors",),
    ),
    Person(
        username="dan", first_name="Dan", last_name="Kowalski", job_title="Document controller",
        department="QA", manager="cleo", roles=("Document control",),
    ),
    Person(
        username="eva", first_name="Eva", last_name="Sørensen", job_title="Production engineer",
        department="PROD", manager="gil", roles=("Author", "Reviewer"),
    ),
    Person(
        username="finn", first_name="Finn", last_name="Brandt", job_title="Operator",
        department="PROD", manager="eva", roles=("Reader",),
    ),
    Person(
        username="gil", first_name="Gil", last_name="Moreau", job_title="Head of production",
        department="PROD", manager="hana", roles=("Approver",), groups=("Auditors",),
    ),
    Person(
        username="hana", first_name="Hana", last_name="Ishikawa", job_title="Managing director",
        department="ACME", manager="", roles=("Approver", "Document control"),
    ),
)  # fmt: skip

_HIRED = datetime(2024, 1, 8, 8, 30, 12, 481516, tzinfo=UTC)


def seed_people() -> dict[str, User]:
    """Add the people that are missing; returns all of them by user name."""
    for code, (name, parent) in DEPARTMENTS.items():
        above = Department.objects.get(code=parent) if parent else None
        Department.objects.get_or_create(code=code, defaults={"name": name, "parent": above})
    for name, codenames in GROUPS.items():
        group, created = Group.objects.get_or_create(name=name)
        if created:
            # The backup's audit trail has a permission of the same name.
            permissions = Permission.objects.exclude(content_type__app_label="backup_tasks")
            group.permissions.set(permissions.filter(codename__in=codenames))
    people = {
        person.username: _seed_person(person, _HIRED + timedelta(days=17.31 * row))
        for row, person in enumerate(PEOPLE)
    }
    for person in PEOPLE:
        if person.manager and people[person.username].manager_id is None:
            people[person.username].manager = people[person.manager]
            people[person.username].save(update_fields=["manager"])
    for name in ("cleo", "gil", "hana"):
        Signature.objects.get_or_create(
            user=people[name],
            defaults={
                "image": squiggle(name),
                "drawn_at": people[name].date_joined + timedelta(days=1.234567),
            },
        )
    giver = people["hana"]
    for person in PEOPLE:
        for role in person.roles:
            UserRole.objects.get_or_create(
                user=people[person.username],
                role=Role.objects.get(name=role),
                defaults={
                    "assigned_by": giver,
                    "assigned_at": people[person.username].date_joined + timedelta(hours=1.7),
                    "valid_from": date(2024, 1, 8),
                },
            )
    return people


def _seed_person(person: Person, joined: datetime) -> User:
    found: User | None = User.objects.filter(username=person.username).first()
    if found is not None:
        return found
    user = User(
        username=person.username,
        first_name=person.first_name,
        last_name=person.last_name,
        email=f"{person.username}@example.com",
        job_title=person.job_title,
        department=Department.objects.get(code=person.department),
        date_joined=joined,
        last_login=joined + timedelta(days=400.123456),
        is_staff=person.username == "dan",
    )
    user.set_password(PASSWORD)
    user.save()
    user.groups.set(Group.objects.filter(name__in=person.groups))
    if person.username == "dan":
        viewing = Permission.objects.filter(
            content_type__app_label__in=["documents", "workflows"], codename__startswith="view_"
        )
        user.user_permissions.set(viewing)
    return user
