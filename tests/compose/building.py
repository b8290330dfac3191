"""Builds the image, with this machine's own way to the package index."""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.compose.engine import PROJECT, Engine

# What a build needs of pip's configuration. Paths of this machine mean nothing inside.
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
CERTIFICATES = "/run/secrets/ca_certificates"  # where the Dockerfile mounts them


def build_image(engine: Engine, image: str, images: Mapping[str, str], scratch: Path) -> None:
    """Build `image` from the project's Dockerfile. Raises EngineError.

    pip's configuration and certificates go in as build secrets, which no layer keeps.
    """
    arguments = ["build", "--tag", image]
    if "PYTHON_IMAGE" in images:
        arguments += ["--build-arg", f"PYTHON_IMAGE={images['PYTHON_IMAGE']}"]
    if engine.program == "podman":
        arguments += ["--network", "host"]
    configuration, certificates = _pip_configuration()
    if configuration:
        path = scratch / "pip.conf"
        path.touch(mode=0o600)
        path.write_text(configuration, encoding="utf-8")
        arguments += ["--secret", f"id=pip_conf,src={path}"]
    if certificates:
        arguments += ["--secret", f"id=ca_certificates,src={certificates}"]
    engine.run(*arguments, str(PROJECT))


def _pip_configuration() -> tuple[str, str]:
    """This machine's pip configuration for a build, and its file of certificates ("": none)."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    values: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        # A variable of the environment outranks the files, as it does for pip.
        if section == ":env:" or key not in values:
            values[key] = str(ast.literal_eval(value))
    kept = {}
    for key in PIP_KEYS:
        words = [word for word in values.get(key, "").split() if not word.startswith("file:")]
        if words:
            kept[key] = " ".join(words)
    certificates = values.get("cert") or os.environ.get("SSL_CERT_FILE", "")
    if certificates:
        kept["cert"] = CERTIFICATES
    lines = [f"{key} = {value}" for key, value in kept.items()]
    return "\n".join(["[global]", *lines, ""]) if lines else "", certificates
