"""Writes an audit entry for each change of a controlled object.

Rows that are loaded as they were (`raw`: fixtures, restores) are not changes: their history is
loaded with them, and another entry would make it untrue.
"""

import json
from typing import Any, Final

from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.signals import post_delete, post_save, pre_save

from edms.audit import actor
from edms.audit.models import AuditEntry
from edms.configuration.models import SystemSetting
from edms.documents.models import Attachment, Document, DocumentVersion, ExternalDocument
from edms.users.models import Role, User, UserRole
from edms.workflows.models import (
    DocumentWorkflow,
    ElectronicSignature,
    PeriodicReview,
    ReadingTask,
)

CONTROLLED: Final[tuple[type[models.Model], ...]] = (
    Document,
    ExternalDocument,
    DocumentVersion,
    Attachment,
    DocumentWorkflow,
    ElectronicSignature,
    PeriodicReview,
    ReadingTask,
    User,
    Role,
    UserRole,
    SystemSetting,
)

# Secrets are not recorded, and neither are fields that every save or sign-in changes.
_LEFT_OUT: Final = {"password", "last_login", "updated_at"}
_BEFORE: Final = "_audit_before"


def connect() -> None:
    """Start watching the controlled models."""
    for model in CONTROLLED:
        uid = f"edms.audit.{model._meta.label_lower}"
        pre_save.connect(_remember, sender=model, dispatch_uid=f"{uid}.remember")
        post_save.connect(_saved, sender=model, dispatch_uid=f"{uid}.saved")
        post_delete.connect(_deleted, sender=model, dispatch_uid=f"{uid}.deleted")


def values_of(instance: models.Model) -> dict[str, Any]:
    """Return the stored values of a row as JSON has them, by column; foreign keys as raw ids."""
    values = {
        field.attname: field.get_prep_value(field.value_from_object(instance))
        for field in instance._meta.concrete_fields
        if not field.primary_key
        and not field.generated
        and field.attname not in _LEFT_OUT
        and not isinstance(field, models.JSONField)
    }
    values |= {
        field.attname: field.value_from_object(instance)
        for field in instance._meta.concrete_fields
        if isinstance(field, models.JSONField)
    }
    found: dict[str, Any] = json.loads(json.dumps(values, cls=DjangoJSONEncoder))
    return found


def _remember(
    sender: type[models.Model], instance: models.Model, *, raw: bool, using: str, **_: Any
) -> None:
    if raw:
        return
    before = sender._base_manager.using(using).filter(pk=instance.pk).first()
    setattr(instance, _BEFORE, values_of(before) if before is not None else None)


def _saved(
    sender: type[models.Model],
    instance: models.Model,
    *,
    created: bool,
    raw: bool,
    using: str,
    **_: Any,
) -> None:
    if raw:
        return
    before = instance.__dict__.pop(_BEFORE, None) or {}
    after = values_of(sender._base_manager.using(using).get(pk=instance.pk))
    changes = {
        column: [before.get(column), value]
        for column, value in after.items()
        if before.get(column) != value
    }
    if created or changes:
        action = AuditEntry.Action.CREATED if created else AuditEntry.Action.CHANGED
        _write(instance, action, changes, using)


def _deleted(sender: type[models.Model], instance: models.Model, *, using: str, **_: Any) -> None:
    changes = {column: [value, None] for column, value in values_of(instance).items()}
    _write(instance, AuditEntry.Action.DELETED, changes, using)


def _write(
    instance: models.Model, action: AuditEntry.Action, changes: dict[str, Any], using: str
) -> None:
    content_types = ContentType.objects.db_manager(using)
    AuditEntry.objects.using(using).create(
        content_type=content_types.get_for_model(instance, for_concrete_model=True),
        object_id=str(instance.pk),
        object_name=str(instance)[:200],
        action=action,
        actor=actor.current(),
        changes=changes,
    )
