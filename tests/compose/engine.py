"""Finds the container engine of this machine and runs its commands."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
PODMAN_SETTINGS = Path(__file__).with_name("containers.conf")
PREPARED = PROJECT / "var" / "compose"  # what `prepare` makes
STAND_IN = "localhost/edms-stand-in"  # the images that `prepare` makes
IMAGES = {"PYTHON_IMAGE": "python", "POSTGRES_IMAGE": "postgres", "REDIS_IMAGE": "redis"}


class EngineError(Exception):
    """A container command failed, or there is no engine; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A container engine with its compose program."""

    program: str
    """`docker` or `podman`."""

    compose: Sequence[str]
    """The compose program, as the first words of a command."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that every command is given besides this process's own."""

    def run(
        self, *arguments: str, variables: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run an engine command. Raises EngineError where `check` and it exits with another code
        than 0."""
        return self._execute([self.program, *arguments], variables or {}, check)

    def run_compose(self, *arguments: str, variables: Mapping[str, str]) -> None:
        """Run a compose command on the project's file. Raises EngineError."""
        self._execute([*self.compose, *arguments], variables, check=True)

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine tells about a container."""
        found: list[dict[str, Any]] = json.loads(self.run("inspect", container).stdout)
        return found[0]

    def logs(self, container: str) -> str:
        """All that a container has written, stdout and stderr."""
        done = self.run("logs", container)
        return done.stdout + done.stderr

    def unhealthy_because(self, container: str) -> str:
        """ "" where the container's health check passes, else what it said."""
        if self.program == "docker":
            health = self.inspect(container)["State"]["Health"]
            if health["Status"] == "healthy":
                return ""
            log = health["Log"] or [{"Output": health["Status"]}]
            return str(log[-1]["Output"])
        # Without systemd nobody runs Podman's health checks: this runs one, now.
        done = self.run("healthcheck", "run", container, check=False)
        return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip() or "unhealthy"

    def containers(self, project: str) -> dict[str, str]:
        """The project's containers, running or not: service → name."""
        label = "com.docker.compose"
        template = f'{{{{.Names}}}} {{{{index .Labels "{label}.service"}}}}'
        if self.program == "docker":
            template = f'{{{{.Names}}}} {{{{.Label "{label}.service"}}}}'
        listed = self.run(
            "ps", "--all", "--filter", f"label={label}.project={project}", "--format", template
        )
        lines = (line.split() for line in listed.stdout.splitlines() if line.strip())
        return {service: name for name, service in lines}

    def volumes(self, project: str) -> list[str]:
        """The project's volumes."""
        listed = self.run("volume", "ls", "--format", "{{.Name}}").stdout.split()
        return [name for name in listed if name.startswith(f"{project}_")]

    def has_image(self, name: str) -> bool:
        """Whether the image is on this machine."""
        return self.run("image", "inspect", name, check=False).returncode == 0

    def _execute(
        self, command: Sequence[str], variables: Mapping[str, str], check: bool
    ) -> subprocess.CompletedProcess[str]:
        with subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**os.environ, **self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate()
            except BaseException:
                _end(process)
                raise
        done = subprocess.CompletedProcess(command, process.returncode, out, err)
        if check and done.returncode != 0:
            said = f"{done.stdout}\n{done.stderr}".strip()[-4000:]
            raise EngineError(f"`{' '.join(command)}` exited with {done.returncode}:\n{said}")
        return done


def _end(process: subprocess.Popen[str]) -> None:
    """End a command that was interrupted, with its children: none may go on making containers
    while the stack is taken down."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def find_engine() -> Engine:
    """Docker where an engine and its compose plugin answer, else Podman with podman-compose.

    Raises EngineError where there is neither.
    """
    if shutil.which("docker"):
        docker = Engine(program="docker", compose=["docker", "compose"])
        answers = docker.run("info", check=False), docker.run("compose", "version", check=False)
        if all(answer.returncode == 0 for answer in answers):
            return docker
    own = PREPARED / "venv" / "bin" / "podman-compose"
    compose = str(own) if own.exists() else shutil.which("podman-compose")
    if shutil.which("podman") and compose:
        settings = {"CONTAINERS_CONF": str(PODMAN_SETTINGS)}
        return Engine(program="podman", compose=[compose], environment=settings)
    raise EngineError(
        "neither Docker with its compose plugin nor Podman with podman-compose is here. "
        "On Debian, `tests/compose/prepare` installs Podman and what goes with it (as root)."
    )


def choose_images(engine: Engine) -> dict[str, str]:
    """The variables that name base images: this process's own, or stand-ins that `prepare` made.

    What is not in the result is the compose file's default, from a registry.
    """
    chosen = {}
    for variable, short in IMAGES.items():
        stand_in = f"{STAND_IN}/{short}"
        if os.environ.get(variable):
            chosen[variable] = os.environ[variable]
        elif engine.program == "podman" and engine.has_image(stand_in):
            chosen[variable] = stand_in
    return chosen
