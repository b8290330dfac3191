"""Prints, as JSON, what somebody who looks at the project finds."""

import json
import sys
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.test import Client
from oscar.core.loading import get_model
from wagtail.models import Page

CONTROL = {"backup_tasks", "django_celery_results", "sessions"}
"""Apps whose tables no package holds."""


def state() -> None:
    """Print the rows and what generic keys lead to; nothing is changed by looking."""
    json.dump({"rows": rows(), "generic": generic()}, sys.stdout)


def visit() -> None:
    """Print what a visitor gets. The shop writes down who looked at what."""
    json.dump(pages(), sys.stdout)


def sizes() -> None:
    """Print, as JSON, how much of the content there is."""
    models = {
        "orders": "order.Order",
        "pages": "wagtailcore.Page",
        "revisions": "wagtailcore.Revision",
    }
    json.dump(
        {name: apps.get_model(label).objects.count() for name, label in models.items()}, sys.stdout
    )


def rows() -> dict[str, int]:
    """By model, how many rows there are, tables of many-to-many relations included."""
    return {
        model._meta.label_lower: model._base_manager.count()
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and model._meta.app_label not in CONTROL
    }


def generic() -> dict[str, list[str]]:
    """By generic foreign key, what each row's leads to."""
    found: dict[str, list[str]] = {}
    for model in apps.get_models():
        for field in model._meta.private_fields:
            if isinstance(field, GenericForeignKey):
                name = f"{model._meta.label_lower}.{field.name}"
                found[name] = [
                    f"{row.pk} → {target!r}"
                    for row in model._base_manager.order_by("pk")
                    if (target := getattr(row, field.name)) is not None
                ]
    return found


def pages() -> dict[str, Any]:
    """By address, the status and the length of what a visitor gets."""
    product = get_model("catalogue", "Product").objects.order_by("pk").first()
    addresses = [page.url for page in Page.objects.live().filter(depth__gt=1) if page.url]
    addresses += ["/shop/catalogue/", "/shop/offers/", product.get_absolute_url()]
    client = Client()
    found = {}
    for address in addresses:
        path = address.removeprefix("http://localhost") or "/"
        response = client.get(path, follow=True, headers={"host": "localhost"})
        found[address] = [response.status_code, len(response.content)]
    return found
