"""`make up`: the whole EDMS for a developer, from the Procfile, on this machine.

Starts Redis (unless REDIS_URL names one), migrates, adds the demonstration data, gives `admin` a
new password, starts every process of the Procfile, and says how to sign in. What they print is in
files (`make logs` shows it), so that the addresses and the password stay on the screen until
Ctrl-C. What the environment configures (DATABASE_URL, …) holds; what it leaves out is below `var/`.
"""

import os
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from edms import environment
from edms.demo import PASSWORD as DEMO_PASSWORD
from edms.local.errors import ServiceUnavailable
from edms.local.instance import ROOT
from edms.local.ports import is_listening
from edms.local.processes import Child, run, start, stopping_on_signals, wait_until
from edms.local.redis import redis_server

VAR = ROOT / "var"
WEB_PORT, FLOWER_PORT = "8000", "5555"


def main(folder: Path = VAR) -> int:
    """Run everything until a signal or the end of one process; return the exit code.

    Redis' data and the logs are kept in `folder`.
    """
    with stopping_on_signals():
        try:
            _up(folder)
        except ServiceUnavailable as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
    return 0


def read_procfile(path: Path) -> dict[str, str]:
    """The commands of a Procfile by process name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    entries = (line.partition(":") for line in lines if line.strip() and line[0] != "#")
    return {name.strip(): command.strip() for name, _, command in entries}


def _up(folder: Path) -> None:
    ports = {
        name: int(os.environ.get(name, default))
        for name, default in (("WEB_PORT", WEB_PORT), ("FLOWER_PORT", FLOWER_PORT))
    }
    for name, port in ports.items():
        if is_listening(port):
            raise ServiceUnavailable(f"Port {port} is in use. Set {name} to another one.")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        redis_url = stack.enter_context(redis_server(folder / "redis"))
        password = environment.secret("EDMS_ADMIN_PASSWORD") or secrets.token_urlsafe(9)
        env = _environment(redis_url, ports, password)
        _prepare(env)
        children = []
        for name, command in read_procfile(ROOT / "Procfile").items():
            child = start(
                name,
                ["/bin/sh", "-c", f"exec {command}"],
                log=_new_log(folder, name),
                env=env,
                cwd=ROOT,
            )
            stack.callback(child.stop)
            children.append(child)
        for name, port in (("web", ports["WEB_PORT"]), ("flower", ports["FLOWER_PORT"])):
            _wait_for(name, port, children)
        print(_welcome(ports, redis_url, password, folder), end="", flush=True)
        _watch(children)


def _environment(redis_url: str, ports: dict[str, int], password: str) -> dict[str, str]:
    programs = Path(sys.executable).parent
    return {
        "FLOWER_URL": f"http://127.0.0.1:{ports['FLOWER_PORT']}",
        **os.environ,
        **{name: str(port) for name, port in ports.items()},
        "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)]),
        # A reset makes admin anew, with this password, too.
        "EDMS_ADMIN_PASSWORD": password,
        "EDMS_ADMIN_PASSWORD_FILE": "",
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": redis_url,
    }


def _prepare(env: dict[str, str]) -> None:
    """Migrate and seed, and give `admin` the password of the environment."""
    print("Preparing the database …", flush=True)
    for command in (("migrate", "--no-input", "--verbosity", "0"), ("seed_demo", "--admin")):
        done = run([sys.executable, "manage.py", *command], cwd=ROOT, env=env)
        if done.returncode != 0:
            raise ServiceUnavailable(f"manage.py {command[0]} failed:\n{done.stderr}")


def _new_log(folder: Path, name: str) -> Path:
    log = folder / "log" / f"{name}.log"
    log.unlink(missing_ok=True)
    return log


def _wait_for(name: str, port: int, children: Sequence[Child]) -> None:
    child = next((each for each in children if each.name == name), None)
    if child is not None:
        wait_until(lambda: is_listening(port), child=child, what=f"{name} listens on {port}")


def _welcome(ports: dict[str, int], redis_url: str, password: str, folder: Path) -> str:
    web = f"http://127.0.0.1:{ports['WEB_PORT']}"
    return f"""
  EDMS    {web}/
  Backup  {web}/admin/backup_tasks/
  Flower  http://127.0.0.1:{ports["FLOWER_PORT"]}/
  Redis   {redis_url}

  Sign in as
    admin   {password}   sees everything, and runs backups and restores; new at each start
    ada     {DEMO_PASSWORD}   writes documents
    ben     {DEMO_PASSWORD}   reviews them
    cleo    {DEMO_PASSWORD}   approves them
    dan     {DEMO_PASSWORD}   publishes and retires them

  Ctrl-C stops everything. What the programs print is in {folder / "log"}; make logs shows it.
"""


def _watch(children: Sequence[Child]) -> None:
    """Raise ServiceUnavailable when one of the processes ends."""
    while True:
        for child in children:
            child.check()
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main(*(Path(argument).absolute() for argument in sys.argv[1:])))
