"""What every page shows."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from edms.configuration.models import setting


def company(request: HttpRequest) -> dict[str, Any]:
    """The company's name and time, for the pages of the EDMS; the admin has a head of its own."""
    if request.resolver_match is None or request.resolver_match.app_name == "admin":
        return {}
    return {"company": setting("company", "EDMS"), "timezone": timezone.get_current_timezone_name()}
