"""Publications of a further database are known, too, before somebody confirms a restore."""

import psycopg
import pytest

from backup_tasks.restore import publications
from tests.integration.several.conftest import Two


@pytest.mark.parametrize("pair", [("sqlite", "postgres")], ids=" + ".join, indirect=True)
def test_the_form_names_the_publications_of_each_database(two: Two) -> None:
    assert publications.of_live() == []
    with psycopg.connect(two.archive.database_url, autocommit=True) as admin:
        admin.execute("CREATE PUBLICATION sky FOR TABLE documents_tag")

    assert publications.of_live() == ["archive:sky"]
