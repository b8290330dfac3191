"""What an operator decided beforehand, for what a merge does not decide by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Model

from backup_tasks.errors import Misconfigured

ON_CONFLICT = ("package", "target")
MISSING_USERS = ("null", "placeholder")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The decisions. By default there are none, and what would need one is refused."""

    on_conflict: str = ""
    """package: take the package's row. target: keep the target's."""
    map_users: Mapping[str, str] = field(default_factory=dict)
    """Natural keys of users: the package's → the target's, who stays as he is."""
    missing_users: str = ""
    """For users that are on neither side. null: references become empty. placeholder: users who
    can't sign in are made."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Policy:
        """Return what the run's parameters say. Raises Misconfigured for what a merge alone can do,
        in a run that does not merge."""
        policy = cls(
            on_conflict=str(params.get("on_conflict") or ""),
            map_users=dict(params.get("map_users") or {}),
            missing_users=str(params.get("missing_users") or ""),
        )
        if params.get("mode") != "merge" and policy != cls():
            raise Misconfigured(
                "--on-conflict, --map-user and --missing-users decide what a merge does",
                hint="Say --mode merge as well, or leave them out.",
            )
        return policy


def is_user_model(model: type[Model]) -> bool:
    """Whether the model is the project's users; a project need not have any."""
    return model._meta.label_lower == settings.AUTH_USER_MODEL.lower()
