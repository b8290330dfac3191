"""Tells the container platform whether the process it started does its work.

    python docker/healthcheck.py web | worker NAME | beat | flower

Exit code 0: healthy. 1: not, with the reason on stderr.
"""

import http.client
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

TIMEOUT = 5.0  # seconds for one answer
# Beat writes its schedule at least every 5 + 3 minutes (its longest sleep, then its sync interval).
BEAT_SILENCE = 15 * 60.0  # seconds


def web() -> str:
    """The EDMS answers, and its database answers it."""
    host = os.environ.get("ALLOWED_HOSTS", "").replace(",", " ").split() or ["localhost"]
    return _get(8000, "/health", {"Host": host[0].lstrip("*.") or "localhost"})


def flower() -> str:
    """Flower answers."""
    prefix = os.environ.get("FLOWER_URL_PREFIX", "").strip("/")
    return _get(5555, f"/{prefix}/healthcheck" if prefix else "/healthcheck", {})


def worker(name: str) -> str:
    """The worker of this container, and no other, answers a ping over the broker.

    A worker answers while its children work, so a long step does not make it unhealthy.
    """
    sys.path[0] = str(Path.cwd())
    from celery.app.utils import find_app

    node = f"{name}@{socket.gethostname()}"
    answers = find_app("edms").control.ping(destination=[node], timeout=TIMEOUT)
    return "" if answers else f"worker {node} did not answer within {TIMEOUT:.0f} s"


def beat() -> str:
    """Beat has written its schedule lately."""
    folder = Path("/srv/edms/beat")
    newest = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
    silence = time.time() - newest
    return "" if silence < BEAT_SILENCE else f"beat has written nothing for {silence:.0f} s"


def _get(port: int, path: str, headers: dict[str, str]) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", path, headers=headers)
        status = connection.getresponse().status
    except OSError as error:
        return f"port {port}: {error}"
    finally:
        connection.close()
    return "" if status == 200 else f"port {port} answers {path} with status {status}"


CHECKS: dict[str, Callable[..., str]] = {
    "web": web,
    "worker": worker,
    "beat": beat,
    "flower": flower,
}

if __name__ == "__main__":
    sys.exit(CHECKS[sys.argv[1]](*sys.argv[2:]) or 0)
