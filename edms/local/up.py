"""`make up`: the whole EDMS for a developer, from the Procfile, on this machine.

Starts Redis (unless REDIS_URL names one), migrates, adds the demonstration data, starts every
process of the Procfile and shows what they print until Ctrl-C. What the environment configures
(DATABASE_URL, …) holds; what it leaves out is below `var/`.
"""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

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
        env = _environment(redis_url, ports)
        login = _prepare(env)
        followed = []
        for name, command in read_procfile(ROOT / "Procfile").items():
            child = start(
                name,
                ["/bin/sh", "-c", f"exec {command}"],
                log=_new_log(folder, name),
                env=env,
                cwd=ROOT,
            )
            stack.callback(child.stop)
            followed.append(Followed(child=child))
        for name, port in (("web", ports["WEB_PORT"]), ("flower", ports["FLOWER_PORT"])):
            _wait_for(name, port, followed)
        _welcome(ports, redis_url, login, folder)
        _show(followed)


def _environment(redis_url: str, ports: dict[str, int]) -> dict[str, str]:
    programs = Path(sys.executable).parent
    return {
        "FLOWER_URL": f"http://127.0.0.1:{ports['FLOWER_PORT']}",
        **os.environ,
        **{name: str(port) for name, port in ports.items()},
        "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": redis_url,
    }


def _prepare(env: dict[str, str]) -> str:
    """Migrate and seed; return what the seeding says about signing in."""
    print("Preparing the database …", flush=True)
    for command in (("migrate", "--no-input", "--verbosity", "0"), ("seed_demo",)):
        done = run([sys.executable, "manage.py", *command], cwd=ROOT, env=env)
        if done.returncode != 0:
            raise ServiceUnavailable(f"manage.py {command[0]} failed:\n{done.stderr}")
    return done.stdout.splitlines()[-1]


def _new_log(folder: Path, name: str) -> Path:
    log = folder / "log" / f"{name}.log"
    log.unlink(missing_ok=True)
    return log


def _wait_for(name: str, port: int, followed: Sequence["Followed"]) -> None:
    child = next((each.child for each in followed if each.child.name == name), None)
    if child is not None:
        wait_until(lambda: is_listening(port), child=child, what=f"{name} listens on {port}")


def _welcome(ports: dict[str, int], redis_url: str, login: str, folder: Path) -> None:
    web = f"http://127.0.0.1:{ports['WEB_PORT']}"
    print(
        f"\n  EDMS    {web}/\n  admin   {web}/admin/\n"
        f"  Flower  http://127.0.0.1:{ports['FLOWER_PORT']}/\n  Redis   {redis_url}\n"
        f"  {login}\n  Ctrl-C stops everything; logs stay in {folder / 'log'}\n",
        flush=True,
    )


@dataclass(kw_only=True)
class Followed:
    """A process, and how much of its log has been shown."""

    child: Child
    shown: int = field(default=0)

    def new_lines(self) -> list[str]:
        """The whole lines that its log has got since the last call."""
        with self.child.log.open("rb") as log:
            log.seek(self.shown)
            whole, newline, _ = log.read().rpartition(b"\n")
        self.shown += len(whole) + len(newline)
        return whole.decode("utf-8", "replace").splitlines() if newline else []


def _show(followed: Sequence[Followed]) -> None:
    """Print what the processes print. Raises ServiceUnavailable when one of them ends."""
    width = max(len(each.child.name) for each in followed)
    while True:
        for each in followed:
            for line in each.new_lines():
                print(f"{each.child.name:<{width}} | {line}", flush=True)
            each.child.check()
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main(*(Path(argument).absolute() for argument in sys.argv[1:])))
