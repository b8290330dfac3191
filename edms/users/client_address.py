"""By which address a failed sign-in is counted: the client's, not that of a proxy."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address; of IPv6 that of its network, since one client has 2^64 of them.

    Each of `settings.TRUSTED_PROXIES` proxies has added one entry at the end of X-Forwarded-For.
    What stands before those was sent by the client, who writes there what he likes.
    """
    peer = str(request.META.get("REMOTE_ADDR") or "")
    told = str(request.META.get("HTTP_X_FORWARDED_FOR") or "")
    way = [*(entry.strip() for entry in told.split(",") if entry.strip()), peer]
    return _known(way[-1 - min(settings.TRUSTED_PROXIES, len(way) - 1)]) or _known(peer)


def _known(text: str) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    inner = address.ipv4_mapped
    return str(inner or IPv6Network((address, 64), strict=False).network_address)
