"""Rows with PostGIS's types, raster among them, through a package and back.

PostGIS comes with GDAL and is large, so a machine that lacks it skips this, CI too.
"""

from collections.abc import Callable, Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connection, connections, models
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.acceptance.merging import working_on
from tests.integration.rows.transfer import run
from tests.services import Project

ROWS = """
    INSERT INTO geo_place (area, point, globe) VALUES
        (ST_AddBand(ST_MakeEmptyRaster(3, 2, 0, 0, 1, 1, 0, 0, 4326), '8BUI'::text, 7, 0),
         'SRID=4326;POINT(1.1 2)', 'POINT(3 4)'), (NULL, NULL, NULL)
"""


class Geo(AppConfig):
    name = __name__
    label = "geo"


@pytest.fixture
def place(
    awkward_project: Callable[..., Project], django_db_blocker: DjangoDbBlocker
) -> Iterator[type[models.Model]]:
    """A model of django.contrib.gis, with the constraints that PostGIS makes for a raster."""
    if not find_library("gdal"):
        pytest.skip("there is no GDAL, which django.contrib.gis needs")
    ours = ["django.contrib.gis", f"{__name__}.Geo"]
    with (
        override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, *ours]),
        django_db_blocker.unblock(),
        working_on(awkward_project("postgres", populated=False)),
    ):
        _use_postgis()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis_raster'")
            if not cursor.fetchone():
                pytest.skip("the server has no PostGIS")
            cursor.execute("CREATE EXTENSION postgis_raster CASCADE")
        model = _place()
        with connection.schema_editor() as editor:
            editor.create_model(model)
            editor.execute("SELECT AddRasterConstraints('geo_place'::name, 'area'::name)")
        yield model


def _use_postgis() -> None:
    engine = {"ENGINE": "django.contrib.gis.db.backends.postgis"}
    connections["default"].close()
    connections.settings["default"] = {**connections.settings["default"], **engine}
    connections["default"] = connections.create_connection("default")


def _place() -> type[models.Model]:
    if "place" in apps.all_models["geo"]:
        return apps.all_models["geo"]["place"]
    from django.contrib.gis.db import models as gis  # fails where there is no GDAL

    fields = {
        "area": gis.RasterField(null=True),
        "point": gis.PointField(null=True),
        "globe": gis.PointField(null=True, geography=True),
        "Meta": type("Meta", (), {"app_label": "geo"}),
        "__module__": __name__,
    }
    return type("Place", (models.Model,), fields)


def held() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT p::text FROM geo_place p ORDER BY id")
        return list(cursor.fetchall())


def test_a_raster_survives_a_backup_and_a_restore(
    place: type[models.Model], tmp_path: Path
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
    before = held()
    run("backup", output=str(tmp_path / "x.tar"))
    place._base_manager.all().delete()

    run("restore", package=str(tmp_path / "x.tar"), safety=False)

    assert held() == before
