"""The policy of a merge: the operator's decisions on conflicts and missing users."""

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
    """The decisions. Without a decision, a merge that needs it is refused."""

    on_conflict: str = ""
    """package: the package's row is written. target: the target's row stays."""
    map_users: Mapping[str, str] = field(default_factory=dict)
    """Natural key of a user in the package → of a user in the target, whose row stays as it is."""
    missing_users: str = ""
    """For users whom neither side has. null: references become NULL. placeholder: users who can't
    sign in are created."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Policy:
        """Return the policy in a run's parameters. Raises Misconfigured if there is one, and the
        run is no merge."""
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
