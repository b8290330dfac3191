"""`python -m benchmarks.audit_pages`: how quick the EDMS' audit trail is with a million entries."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import django

from edms.local.errors import ServiceUnavailable
from edms.local.postgres import PostgresServer, postgres_server
from edms.local.processes import stopping_on_signals

# A second apart; one in a thousand is a deletion, and a hundred people made them.
_FILL = """
    INSERT INTO audit_auditentry
        (event_id, content_type_id, object_id, object_name, action, actor_id, changes, at)
    SELECT gen_random_uuid(), %(kind)s, (n %% 100000)::text, 'SOP-2026-' || n %% 100000,
           CASE WHEN n %% 1000 = 0 THEN 'deleted' ELSE 'changed' END,
           %(first)s + n %% 100, '{"title": ["before", "after"]}', now() - n * interval '1 second'
      FROM generate_series(1, %(rows)s) n
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of figures; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit_pages", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args(arguments)
    try:
        with stopping_on_signals(), postgres_server() as server, _database(server):
            _measure(options.rows, options.repeats)
    except ServiceUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def _database(server: PostgresServer) -> Iterator[None]:
    name = server.new_name()
    os.environ["DATABASE_URL"] = server.create_database(name)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "edms.settings")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection.close()
        server.drop_database(name)


def _measure(rows: int, repeats: int) -> None:
    from django.conf import settings
    from django.contrib.contenttypes.models import ContentType
    from django.db import connection
    from django.test import Client

    from edms.audit.models import AuditEntry
    from edms.documents.models import Document
    from edms.users.models import User

    settings.ALLOWED_HOSTS = ["testserver"]
    people = User.objects.bulk_create([User(username=f"person-{n}") for n in range(100)])
    kind = ContentType.objects.get_for_model(Document).pk
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"kind": kind, "first": people[0].pk, "rows": rows})
        cursor.execute("ANALYZE")
        cursor.execute("SELECT pg_indexes_size('audit_auditentry') / 1000000")
        (size,) = cursor.fetchone()
    middle = AuditEntry.objects.order_by("-at", "-pk")[rows // 2]
    place = f"{middle.at:%Y-%m-%dT%H:%M:%S.%fZ}~{middle.pk}"
    client = Client()
    client.force_login(User.objects.get(username="admin"))

    def page(query: str) -> Callable[[], Any]:
        def ask() -> None:
            answer = client.get(f"/audit/?{query}")
            assert answer.status_code == 200, answer.status_code
            assert answer.content.count(b"<li>") == 50, query

        return ask

    pages = {
        "first page": page(""),
        "middle": page(f"older={place}"),
        "last page": page("end"),
        "of one person": page("actor=person-7"),
        "of one person, last": page("actor=person-7&end"),
        "deletions": page("action=deleted"),
        "of one kind, middle": page(f"kind={kind}&older={place}"),
        "until a day": page(f"until={middle.at:%Y-%m-%d}"),
        "by number, for comparison: count": lambda: AuditEntry.objects.count(),
        "by number, for comparison: last page": lambda: list(
            AuditEntry.objects.order_by("-at")[rows - 50 :]
        ),
    }
    print(f"{rows} entries, indexes {size} MB; median of {repeats}, in milliseconds")
    for name, ask in pages.items():
        print(f"{name:40}{_median(ask, repeats):8.1f}")


def _median(ask: Callable[[], Any], repeats: int) -> float:
    ask()
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
