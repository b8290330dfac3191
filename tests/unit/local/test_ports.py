"""Ports for the servers of one machine."""

from pathlib import Path

import pytest

from edms.local.ports import free_port


def test_no_client_is_given_the_port_of_a_server_that_is_away() -> None:
    """It would connect to itself, and the server could not come back."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not given.exists():
        pytest.skip("the system does not tell")
    lowest, highest = map(int, given.read_text().split())
    assert not any(lowest <= free_port() <= highest for _ in range(200))
