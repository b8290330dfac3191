"""Every field class that Django has is in the zoo, and comes back."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import django.contrib
from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.db import models

from tests.acceptance.merging import changes, merge
from tests.commonapps.models import Event, Parcel
from tests.integration.merge.conftest import OnProject
from tests.integration.rows.test_postgres_fields import MODELS as POSTGRES_MODELS
from tests.integration.rows.transfer import run, stored
from tests.testapp import models as testapp

Packed = Callable[[Callable[[], None]], Path]

SPATIAL = "needs a database backend of its own; its columns are in test_column_zoo"
REMOVED = "for old migrations only: no model can have it"
ABSTRACT = "a base class: no column has it"
EXPRESSION = "the type of an expression: no column has it"
NOT_IN_THE_ZOO = {
    **dict.fromkeys(("Field", "RelatedField", "RangeField", "ContinuousRangeField"), ABSTRACT),
    **dict.fromkeys(("AreaField", "DistanceField", "ExtentField", "_Float4Field"), EXPRESSION),
    **dict.fromkeys(("CICharField", "CIEmailField", "CITextField"), REMOVED),
    **dict.fromkeys(("CommaSeparatedIntegerField", "IPAddressField", "NullBooleanField"), REMOVED),
    "django.contrib.postgres.fields.jsonb.JSONField": REMOVED,
    **dict.fromkeys(
        (
            *("BaseSpatialField", "GeometryField", "PointField", "LineStringField"),
            *("PolygonField", "MultiPointField", "MultiLineStringField", "MultiPolygonField"),
            *("GeometryCollectionField", "RasterField"),
        ),
        SPATIAL,
    ),
}
"""By name, or by dotted name where another one is in the zoo: why."""


def test_every_field_class_of_django_is_in_the_zoo_or_has_a_reason() -> None:
    classes = {cls for module in _modules() for cls in vars(module).values() if _is_field(cls)}
    ours = {type(field) for model in _zoo() for field in _fields(model)}
    names = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in classes - ours}
    excused = {
        name
        for name, cls in names.items()
        if name in NOT_IN_THE_ZOO or cls.__qualname__ in NOT_IN_THE_ZOO
    }

    assert len(classes) > 60
    assert set(names) - excused == set()


def _modules() -> Iterator[ModuleType]:
    for root in (models, django.contrib):
        for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if ".fields" in found.name or found.name.endswith((".search", ".conversion")):
                yield importlib.import_module(found.name)


def _is_field(cls: object) -> bool:
    return (
        isinstance(cls, type)
        and cls.__module__.startswith("django.")
        and issubclass(cls, models.Field | GenericForeignKey)
    )


def _zoo() -> Iterator[type[models.Model]]:
    yield from apps.get_app_config("commonapps").get_models()
    yield from POSTGRES_MODELS
    for name in testapp.__all__:
        model = getattr(testapp, name)
        if isinstance(model, type) and issubclass(model, models.Model):
            yield model


def _fields(model: type[models.Model]) -> Iterator[Any]:
    meta = model._meta
    yield from (*meta.local_fields, *meta.local_many_to_many, *meta.private_fields)
    yield meta.pk
    for field in meta.local_fields:
        if base := getattr(field, "base_field", None):
            yield base


def fill() -> None:
    Parcel.objects.create(
        pk=-(2**15), country="NO", number=2**15 - 1, weight=2**31 - 1, tracking="https://x/?ü=1",
        label="ü/label.png", template="/etc/hosts", contact="ada@example.com",
    )  # fmt: skip
    Parcel.objects.create(pk=2**15 - 2, country="", number=0)
    Event.objects.create(pk=2**63 - 9, code="sent", country="NO", number=2**15 - 1)
    Event.objects.create(pk=-(2**63) + 9, code="lost", country="XX", number=5)


def test_rare_fields_come_back_and_are_merged(on_new_project: OnProject, tmp_path: Path) -> None:
    package = tmp_path / "fields.tar"
    ours: list[type[models.Model]] = [Parcel, Event]
    with on_new_project():
        fill()
        before = stored(ours)
        run("backup", output=str(package), accept_missing_files=True)
        for model in ours:
            model._base_manager.all().delete()

        run("restore", package=str(package), safety=False)

        assert stored(ours) == before
    with on_new_project():
        Event.objects.create(pk=2**63 - 9, code="own", country="NO", number=2**15 - 1)
        Parcel.objects.create(pk=7, country="", number=0, weight=5)

        merge(package, on_conflict="package")

        assert Event.objects.get(code="sent").parcel == Parcel.objects.get(country="NO")
        assert Parcel.objects.get(pk=7).weight is None
        assert Parcel.objects.count() == 2
        assert Event.objects.count() == 3
        assert changes(merge(package).report["merge"]) == {}
