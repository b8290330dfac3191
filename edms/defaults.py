"""The system's defaults: what an empty EDMS holds before anybody has worked with it.

`seed` runs after every `migrate` and builds the empty system of a reset. It adds what is missing
and changes nothing that is there.
"""

from typing import Any

from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.contrib.auth.hashers import make_password
from django.db import models, transaction

from edms import environment

SYSTEM_USER = "system"
ADMIN_USER = "admin"

STATES = {
    "draft": ("Draft", False),
    "under_review": ("Under review", False),
    "reviewed": ("Reviewed", False),
    "approved": ("Approved", False),
    "effective": ("Effective", True),
    "superseded": ("Superseded", True),
    "obsolete": ("Obsolete", True),
}

DOCUMENT_TYPES = {
    "POL": ("Policy", 36),
    "SOP": ("Standard operating procedure", 24),
    "WI": ("Work instruction", 24),
    "FRM": ("Form", 24),
    "REC": ("Record", 60),
}

WORKFLOW_TYPES = {
    "approval": ("Review and approval", "draft", 14),
    "retirement": ("Retirement", "effective", 30),
}

SOURCES = {
    "internal": ("Written here", False),
    "scan": ("Scanned from paper", False),
    "supplier": ("Received from a supplier", True),
    "standard": ("Published standard", True),
}

# name, rank, roles that may read it (none: every role)
LABELS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "public": ("Public", 0, ()),
    "internal": ("Internal", 10, ()),
    "confidential": ("Confidential", 20, ("Approver", "Document control")),
}

SETTINGS: dict[str, tuple[Any, str]] = {
    "company": ("Acme Instruments", "Name at the top of every page."),
    "upload_megabytes": (50, "Largest file that can be uploaded."),
    "file_suffixes": (
        ["pdf", "txt", "md", "docx", "xlsx", "pptx", "odt", "ods", "csv", "png", "jpg", "zip"],
        "Kinds of files that can be uploaded.",
    ),
}

# workflow type, from, to: what the button says, who, whether a comment is needed
TRANSITIONS = {
    ("approval", "draft", "under_review"): ("Send to review", "author", False),
    ("approval", "under_review", "draft"): ("Reject", "reviewer", True),
    ("approval", "under_review", "reviewed"): ("Pass review", "reviewer", False),
    ("approval", "reviewed", "draft"): ("Refuse approval", "approver", True),
    ("approval", "reviewed", "approved"): ("Approve", "approver", False),
    ("approval", "approved", "effective"): ("Make effective", "publisher", False),
    ("retirement", "effective", "obsolete"): ("Make obsolete", "publisher", True),
}

# name: inherits from, abilities, description
ROLES: dict[str, tuple[str | None, tuple[str, ...], str]] = {
    "Reader": (None, (), "Reads effective documents."),
    "Author": ("Reader", ("may_author",), "Writes documents."),
    "Reviewer": ("Reader", ("may_review",), "Reviews documents of others."),
    "Approver": ("Reviewer", ("may_approve",), "Approves documents of others."),
    "Document control": ("Author", ("may_publish",), "Publishes and retires documents."),
}


Rows = models.QuerySet[Any]

_MODELS = (
    "users.User",
    "users.Role",
    "documents.DocumentType",
    "documents.DocumentSource",
    "documents.SensitivityLabel",
    "workflows.DocumentState",
    "workflows.WorkflowType",
    "workflows.AllowedTransition",
    "configuration.SystemSetting",
)


def seed(using: str, apps: Apps = installed_apps) -> None:
    """Add the defaults that the database `using` lacks, in one transaction.

    `apps` is the registry to take models from: a migrate that stops before the newest migration
    passes its own. Where a model does not exist there yet, nothing is seeded. Defaults are not
    somebody's decisions, so the audit trail does not record them: no signals are sent.
    """
    try:
        tables = {label: apps.get_model(label)._base_manager.using(using) for label in _MODELS}
    except LookupError:
        return
    with transaction.atomic(using=using):
        _seed_users(tables["users.User"])
        _seed_roles(tables["users.Role"])
        _seed_catalogue(tables)
        _seed_workflows(tables)


def _add(rows: Rows, key: dict[str, Any], values: dict[str, Any]) -> bool:
    """Add a row unless one has the key; returns whether it did. Sends no signals."""
    if rows.filter(**key).exists():
        return False
    rows.bulk_create([rows.model(**key, **values)])
    return True


def _seed_users(users: Rows) -> None:
    # Without a password nobody signs in as admin until `manage.py changepassword admin`. It is
    # hashed only where it is needed: hashing is slow on purpose.
    if not users.filter(username=ADMIN_USER).exists():
        password = make_password(environment.secret("EDMS_ADMIN_PASSWORD") or None)
        values = {"password": password, "is_staff": True, "is_superuser": True}
        _add(users, {"username": ADMIN_USER}, {"first_name": "Administrator", **values})
    values = {"password": make_password(None), "is_active": False}
    _add(users, {"username": SYSTEM_USER}, {"first_name": "System", **values})


def _seed_roles(roles: Rows) -> None:
    for name, (parent, abilities, description) in ROLES.items():
        above = roles.get(name=parent) if parent else None
        values = {"inherits_from": above, "description": description}
        _add(roles, {"name": name}, {**values, **dict.fromkeys(abilities, True)})


def _seed_catalogue(tables: dict[str, Rows]) -> None:
    for code, (name, months) in DOCUMENT_TYPES.items():
        values: dict[str, Any] = {"name": name, "review_months": months}
        _add(tables["documents.DocumentType"], {"code": code}, values)
    for code, (name, external) in SOURCES.items():
        values = {"name": name, "is_external": external}
        _add(tables["documents.DocumentSource"], {"code": code}, values)
    labels = tables["documents.SensitivityLabel"]
    for code, (name, rank, readers) in LABELS.items():
        if _add(labels, {"code": code}, {"name": name, "rank": rank}) and readers:
            labels.get(code=code).readers.set(tables["users.Role"].filter(name__in=readers))
    for key, (value, description) in SETTINGS.items():
        values = {"value": value, "description": description}
        _add(tables["configuration.SystemSetting"], {"key": key}, values)


def _seed_workflows(tables: dict[str, Rows]) -> None:
    for position, (code, (name, is_final)) in enumerate(STATES.items(), start=1):
        values: dict[str, Any] = {"name": name, "position": position, "is_final": is_final}
        _add(tables["workflows.DocumentState"], {"code": code}, values)
    kinds = tables["workflows.WorkflowType"]
    for code, (name, state, days) in WORKFLOW_TYPES.items():
        values = {"name": name, "initial_state_id": state, "days_per_state": days}
        _add(kinds, {"code": code}, values)
    for (code, from_state, to_state), (name, actor, needs_comment) in TRANSITIONS.items():
        key = {
            "workflow_type": kinds.get(code=code),
            "from_state_id": from_state,
            "to_state_id": to_state,
        }
        values = {"name": name, "actor": actor, "needs_comment": needs_comment}
        _add(tables["workflows.AllowedTransition"], key, values)
