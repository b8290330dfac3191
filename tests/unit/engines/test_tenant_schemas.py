"""A backend that gives each tenant a schema is refused by its name."""

import pytest
from django.db import connections
from django.db.backends.postgresql import base

from backup_tasks.engines.postgresql import tenant_schemas
from backup_tasks.errors import Misconfigured


def test_a_backend_that_gives_each_tenant_a_schema_is_refused_by_its_name() -> None:
    backend = type(
        "DatabaseWrapper",
        (base.DatabaseWrapper,),
        {"__module__": "django_tenants.postgresql_backend.base"},
    )

    with pytest.raises(Misconfigured, match="django_tenants keeps the rows of each tenant"):
        tenant_schemas.refuse(backend(connections.settings["default"], "default"), ask=False)


def test_djangos_own_backend_is_not_refused() -> None:
    connection = base.DatabaseWrapper(connections.settings["default"], "default")
    tenant_schemas.refuse(connection, ask=False)
