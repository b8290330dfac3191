"""The stack, from its secrets to its removal."""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_tasks.package.cipher import generate_identity
from backup_tasks.package.signature import generate_key
from tests.compose.building import build_image
from tests.compose.engine import PROJECT, Engine, EngineError, choose_images

IMAGE = "localhost/edms-smoke"
ONCE = "migrate"  # the service that ends when its work is done
SERVICES = {"postgres", "redis", "web", "worker", "worker-backups", "beat", "flower", ONCE}
HEALTHY_WITHIN = 300.0  # seconds
PAUSE = 1.0  # seconds between two questions


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack that runs, under a project name of its own."""

    engine: Engine
    containers: Mapping[str, str]
    """Service → name of its container."""

    secrets: Mapping[str, str]
    """Name of the secret's file → its content."""

    web: str
    """Address of the EDMS, without a slash at its end."""

    flower: str
    """Address of Flower, likewise."""

    def manage(self, service: str, *arguments: str) -> str:
        """What a management command prints in a service's container. Raises EngineError."""
        container = self.containers[service]
        return self.engine.run("exec", container, "python", "manage.py", *arguments).stdout

    def hostname(self, service: str) -> str:
        """The name that a service's container has for itself; it is part of its worker's name."""
        return str(self.engine.inspect(self.containers[service])["Config"]["Hostname"])

    def logs(self) -> dict[str, str]:
        """Service → all that its container has written."""
        return {service: self.engine.logs(name) for service, name in self.containers.items()}


@contextlib.contextmanager
def running_stack(engine: Engine) -> Iterator[Stack]:
    """Build and start the stack, wait until all of it is healthy; remove it whatever happens.

    Raises EngineError where it does not come up or leaves something behind.
    """
    project = f"edms-smoke-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="edms-smoke-") as name:
        scratch = Path(name)
        images = choose_images(engine)
        print(f"engine: {engine.program}; images: {images or 'the official ones'}")
        print("building the image")
        build_image(engine, IMAGE, images, scratch)
        secrets, public_keys = _make_secrets(scratch / "secrets")
        web, flower = _free_port(), _free_port()
        variables = {
            **images,
            "EDMS_IMAGE": IMAGE,
            "SECRETS_FOLDER": str(scratch / "secrets"),
            **public_keys,
            "BACKUP_SIGNING_KEY_FILE": "/run/secrets/backup_signing_key",
            "WEB_PORT": str(web),
            "FLOWER_PORT": str(flower),
        }
        compose = ("--project-name", project, "--file", str(PROJECT / "docker-compose.yml"))
        try:
            print(f"starting the stack {project}")
            engine.run_compose(*compose, "up", "--detach", "--no-build", variables=variables)
            stack = Stack(
                engine=engine,
                containers=engine.containers(project),
                secrets=secrets,
                web=f"http://127.0.0.1:{web}",
                flower=f"http://127.0.0.1:{flower}",
            )
            _await_health(stack)
            yield stack
        except Exception:
            # Before they are gone: what the containers said is how one finds out why.
            _print_logs(engine, project)
            raise
        finally:
            print("taking the stack down")
            engine.run_compose(
                *compose, "down", "--volumes", "--timeout", "20", variables=variables
            )
    left = [*engine.containers(project).values(), *engine.volumes(project)]
    if left:
        raise EngineError(f"taking the stack down left {', '.join(left)}")


def _make_secrets(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Make the stack's secrets as an operator does; return them, and the variables with the public
    keys: whom to encrypt to, and whose signature is trusted."""
    subprocess.run([PROJECT / "docker" / "make-secrets", folder], check=True)
    identity, recipient = generate_identity()
    signing_key, public_key = generate_key()
    for name, key in {"backup_identity": identity, "backup_signing_key": signing_key}.items():
        path = folder / name
        path.unlink()
        path.write_text(f"{key}\n", encoding="utf-8")
        path.chmod(0o444)
    files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    secrets = {file.name: file.read_text(encoding="utf-8").strip() for file in files}
    return secrets, {"BACKUP_RECIPIENTS": recipient, "BACKUP_TRUSTED_KEYS": public_key}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_health(stack: Stack) -> None:
    if set(stack.containers) != SERVICES:
        raise EngineError(f"the services are {sorted(stack.containers)}, not {sorted(SERVICES)}")
    deadline = time.monotonic() + HEALTHY_WITHIN
    for service in ["postgres", "redis", ONCE, "web", "flower", "worker", "worker-backups", "beat"]:
        container = stack.containers[service]
        while because := _not_ready(stack.engine, service, container):
            if time.monotonic() > deadline:
                raise EngineError(f"{service} did not come up: {because}")
            time.sleep(PAUSE)
        print(f"  {service}: {'done' if service == ONCE else 'healthy'}")


def _not_ready(engine: Engine, service: str, container: str) -> str:
    if service != ONCE:
        return engine.unhealthy_because(container)
    state: dict[str, Any] = engine.inspect(container)["State"]
    if state["Status"] != "exited":
        return f"still {state['Status']}"
    if state["ExitCode"] != 0:
        raise EngineError(f"{service} exited with {state['ExitCode']}")
    return ""


def _print_logs(engine: Engine, project: str) -> None:
    for service, container in engine.containers(project).items():
        lines = engine.logs(container).splitlines()[-25:]
        print("\n".join([f"--- {service}", *lines]))
