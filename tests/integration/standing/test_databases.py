"""Every database keeps what was found out."""

import pytest

from backup_tasks.storage import verdicts
from tests.integration.standing.conftest import damage, fails, known, prune, run_here
from tests.services import EVERY_ENGINE, Project


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest) -> str:
    """Each database once."""
    name: str = request.param
    return name


def test_failures_proofs_and_pins_are_rows_of_any_database(on_project: Project) -> None:
    package = run_here("backup").package
    run_here("drill")
    mend = damage(on_project, package)
    run = fails("verify", package=package)
    failure = known(package).standing.failure
    assert failure is not None
    assert failure.run == run.pk

    mend()
    run_here("verify", package=package)
    verdicts.set_pin(known(package).sha256, pinned=True, by="ada")

    standing = known(package).standing
    assert standing.proven
    assert standing.pinned
    assert prune(dry_run=True)[0][package]["why"] == "pinned"
