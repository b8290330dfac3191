"""Shows each person the times of their own zone."""

import zoneinfo
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from edms.users.models import User


class TimeZoneMiddleware:
    """Activates the signed-in person's zone for the request; without one, the system's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request in that zone."""
        with timezone.override(zone_of(request)):
            return self.get_response(request)


def zone_of(request: HttpRequest) -> "zoneinfo.ZoneInfo | None":
    """Return the person's zone; None where there is none, or this machine does not know it."""
    user = request.user
    if not isinstance(user, User) or not user.time_zone:
        return None
    try:
        return zoneinfo.ZoneInfo(user.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return None


def zones() -> list[str]:
    """Return the names of the zones that there are, by continent and place."""
    return sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone or zone == "UTC")
