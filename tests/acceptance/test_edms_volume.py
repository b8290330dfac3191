"""Large data sets for benchmarks and tests: the same on every engine."""

import json
from typing import Any

from tests.services import EVERY_ENGINE, MakeProject

APPS = ("users", "documents", "workflows", "audit", "notices")


def test_the_same_seed_gives_the_same_data_on_every_engine(make_project: MakeProject) -> None:
    found = []
    for engine in EVERY_ENGINE:
        project = make_project(engine)
        project.succeed("generate_documents", "--documents", "60", "--users", "5", "--seed", "7")
        dumped = project.succeed("dumpdata", *APPS, "--natural-foreign", "--natural-primary")
        rows = [row for row in json.loads(dumped.stdout) if not is_default(row)]
        found.append(sorted(json.dumps(row, sort_keys=True) for row in rows))
    assert len(found[0]) > 500
    assert found[0] == found[1] == found[2]


def is_default(row: dict[str, Any]) -> bool:
    """The system's own two users have random UUIDs, and unusable passwords are random too."""
    return bool(row["fields"].get("username") in ("admin", "system"))
