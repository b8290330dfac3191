"""Managers that lie, or refuse to answer (T2, T13)."""

from typing import Any

from django.db import models

from tests.testapp.models.base import Keyed, Unkeyed


class NotDeleted(models.Manager[Any]):
    def get_queryset(self) -> "models.QuerySet[Any]":
        return super().get_queryset().filter(deleted=False)


class Hidden(Unkeyed):
    """Soft deletion: the default manager does not show all rows, and the base manager neither."""

    name = models.CharField(max_length=50)
    deleted = models.BooleanField(default=False)
    objects = NotDeleted()

    class Meta(Unkeyed.Meta):
        base_manager_name = "objects"


class ScopeError(Exception):
    """No tenant was chosen."""


class TenantManager(models.Manager[Any]):
    def get_queryset(self) -> "models.QuerySet[Any]":
        raise ScopeError("choose a tenant first")


class ScopedGroup(Keyed):
    """A tenant's group."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=50, unique=True)
    objects = TenantManager()  # type: ignore[assignment]  # it is no NaturalKeyManager: that is the point

    class Meta(Keyed.Meta):
        base_manager_name = "objects"


class Scoped(Unkeyed):
    """A tenant's row: each manager refuses to answer, those of its relations too."""

    group = models.ForeignKey(ScopedGroup, on_delete=models.CASCADE, related_name="+")
    others: Any = models.ManyToManyField(ScopedGroup, related_name="+")
    objects = TenantManager()

    class Meta(Unkeyed.Meta):
        base_manager_name = "objects"
