"""`{% backup_home %}`: whether the data is safe. Django's own view shows the index page of an app,
whichever admin site the project has, so what ours adds comes from a tag."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.inclusion_tag("backup_tasks/home.html", takes_context=True)
def backup_home(context: dict[str, Any]) -> dict[str, Any]:
    """Return what the home page shows; nothing to users who may not see runs and packages."""
    # Django imports this module for every project's templates, also where there is no admin.
    from backup_tasks.admin.home import home
    from backup_tasks.admin.read_only import may_see_all

    request = context["request"]
    return {"home": home()} if may_see_all(request.user) else {}
