"""Users, departments, roles and signatures in any number."""

from datetime import date, timedelta

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from edms.demo import PASSWORD
from edms.demo.drawing import squiggle
from edms.users.models import Department, Role, Signature, User, UserRole
from edms.volume.chance import EPOCH, Chance
from edms.volume.insertion import Keys, insert

_FIRST_NAMES = ("Ana", "Björn", "Chloé", "Dmitri", "Elif", "Farid", "Grace", "Hiro", "Iza", "João")
_LAST_NAMES = (
    "Nowak",
    "Müller",
    "Rossi",
    "Silva",
    "Tanaka",
    "O’Brien",
    "Öztürk",
    "Novák",
    "Ivanov",
)
_DEPARTMENTS = 12
_ROLES = ("Author", "Author", "Reviewer", "Approver", "Reader", "Document control")


def generate_people(number: int, chance: Chance, keys: Keys) -> list[int]:
    """Insert `number` users with roles, departments, managers; returns their primary keys.

    All have the demonstration's password: hashing one for each would take minutes.
    """
    departments = _departments(chance, keys)
    password = make_password(PASSWORD, salt=f"volume{chance.getrandbits(64):016x}")
    pks = [keys.take(User) for _ in range(number)]
    users = [
        User(
            pk=pk,
            username=f"user{pk:06d}",
            first_name=chance.choice(_FIRST_NAMES),
            last_name=chance.choice(_LAST_NAMES),
            email=f"user{pk:06d}@example.com",
            password=password,
            uuid=chance.uuid(),
            department_id=chance.choice(departments),
            # Often a later user: rows refer to rows that come after them.
            manager_id=chance.choice(pks) if chance.random() < 0.9 else None,
            job_title=chance.choice(("Engineer", "Operator", "Analyst", "")),
            date_joined=chance.moment(chance.randrange(3)),
            last_login=chance.moment(9) if chance.random() < 0.8 else None,
            is_active=chance.random() < 0.95,
        )
        for pk in pks
    ]
    insert(users)
    _roles(users, chance, keys)
    insert(
        [
            Signature(
                user_id=user.pk,
                image=squiggle(f"{user.first_name} {user.pk}"),
                drawn_at=user.date_joined + timedelta(days=3.1),
            )
            for user in users
            if chance.random() < 0.2
        ]
    )
    group, _ = Group.objects.get_or_create(name="Volume")
    membership = User.groups.through
    insert([membership(user_id=pk, group_id=group.pk) for pk in pks if chance.random() < 0.3])
    return pks


def _departments(chance: Chance, keys: Keys) -> list[int]:
    pks = [keys.take(Department) for _ in range(_DEPARTMENTS)]
    insert(
        [
            Department(
                pk=pk,
                code=f"D{pk:05d}",
                name=f"Department {pk}",
                parent_id=chance.choice(pks[:row]) if row else None,
            )
            for row, pk in enumerate(pks)
        ]
    )
    return pks


def _roles(users: list[User], chance: Chance, keys: Keys) -> None:
    roles = dict(Role.objects.values_list("name", "pk"))
    rows = []
    for user in users:
        for name in sorted({chance.choice(_ROLES) for _ in range(2)}):
            start = EPOCH.date() + timedelta(days=chance.randrange(1500))
            rows.append(
                UserRole(
                    pk=keys.take(UserRole),
                    user_id=user.pk,
                    role_id=roles[name],
                    assigned_by_id=chance.choice(users).pk,
                    assigned_at=user.date_joined,
                    valid_from=start,
                    valid_until=date(2030, 12, 31) if chance.random() < 0.1 else None,
                )
            )
    insert(rows)
