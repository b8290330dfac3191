"""Free TCP ports on the loopback interface."""

import secrets
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"


_LOWEST = 10_000
_GIVEN_TO_CLIENTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port that nothing listens on at this moment.

    Not one that the system gives to clients, where that is known: while a server is away, a client
    that tries to reach it again and again could be given its port, and connect to itself. The
    server then finds its port in use.
    """
    ours = range(_LOWEST, _first_of_clients())
    for _ in range(100 if ours else 0):
        if _can_be_bound(port := secrets.choice(ours)):
            return port
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        any_port: int = listener.getsockname()[1]
        return any_port


def _first_of_clients() -> int:
    try:
        return int(_GIVEN_TO_CLIENTS.read_text().split()[0])
    except OSError:
        return 0  # no Linux


def _can_be_bound(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0
