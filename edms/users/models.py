"""People and what they may do.

A role carries what its holders may do in a document's life; a role inherits from another one, so
that a head of quality may do what a quality officer may.
"""

import base64
import uuid
from datetime import date
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.utils import timezone

from backup_tasks.rows.natural_keys import NaturalKeyManager, NaturalKeyModel


def today() -> date:
    """The current date in UTC."""
    return timezone.now().date()


class Department(NaturalKeyModel):
    """A part of the company; departments form a tree."""

    natural_key_fields = ("code",)

    code = models.SlugField(max_length=20, unique=True)
    name = models.CharField(max_length=100)
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class Role(NaturalKeyModel):
    """What its holders may do in the life of a document."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=60, unique=True)
    description = models.TextField(blank=True)
    inherits_from = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="heirs",
        help_text="Holders of this role may also do what that role may.",
    )
    may_author = models.BooleanField(default=False, help_text="Write documents and new versions.")
    may_review = models.BooleanField(default=False, help_text="Review documents of others.")
    may_approve = models.BooleanField(default=False, help_text="Approve documents of others.")
    may_publish = models.BooleanField(
        default=False, help_text="Make approved documents effective, and obsolete."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class UserManager(NaturalKeyManager, DjangoUserManager["User"]):
    """Creates users and finds them by name."""


class User(NaturalKeyModel, AbstractUser):
    """A person (or `system`) that signs in."""

    natural_key_fields = ("username",)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    department = models.ForeignKey(
        Department, on_delete=models.PROTECT, null=True, blank=True, related_name="members"
    )
    manager = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="reports"
    )
    job_title = models.CharField(max_length=100, blank=True)
    roles: "models.ManyToManyField[Role, UserRole]" = models.ManyToManyField(
        Role, through="UserRole", through_fields=("user", "role"), related_name="holders"
    )

    time_zone = models.CharField(
        max_length=64, blank=True, help_text="In which this person sees times; empty: the system's."
    )
    reset_mailed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Last link to choose a new password."
    )

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        ordering = ["username"]

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Signature(NaturalKeyModel):
    """The drawn signature that is shown where its owner approved: one per person."""

    natural_key_fields = ("user",)

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="signature"
    )
    image = models.BinaryField(help_text="PNG.")
    drawn_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["user"]

    def __str__(self) -> str:
        return f"Signature of {self.user}"

    @property
    def source(self) -> str:
        """The picture as the source of an HTML `img`, in itself."""
        return f"data:image/png;base64,{base64.b64encode(self.image).decode()}"


class UserRole(NaturalKeyModel):
    """A role that a user holds for some time, and who gave it to them."""

    natural_key_fields = ("user", "role")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="role_assignments")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="assignments")
    assigned_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, related_name="roles_given"
    )
    assigned_at = models.DateTimeField(default=timezone.now, editable=False)
    valid_from = models.DateField(default=today)
    valid_until = models.DateField(null=True, blank=True, help_text="Last day; empty: no end.")

    class Meta:
        ordering = ["user", "role"]
        constraints = [
            models.UniqueConstraint(fields=["user", "role"], name="users_role_once_per_user"),
            models.CheckConstraint(
                condition=models.Q(valid_until__isnull=True)
                | models.Q(valid_until__gte=models.F("valid_from")),
                name="users_role_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role}"
