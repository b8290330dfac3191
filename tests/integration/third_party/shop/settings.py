"""Settings of the project, as Wagtail's and Oscar's documentations write them.

All that backup_tasks needs are its two lines in INSTALLED_APPS.
"""

import json
import os
from pathlib import Path
from typing import Any

from oscar.defaults import *  # noqa: F403  # as its documentation says

BASE_DIR = Path(os.environ["SHOP_HOME"])
SECRET_KEY = "of-a-shop-that-is-thrown-away"
ALLOWED_HOSTS = ["testserver", "localhost"]
DATABASES = {"default": json.loads(os.environ["SHOP_DATABASE"])}
MEDIA_ROOT = str(BASE_DIR / "media")
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
TIME_ZONE = "Asia/Tokyo"
USE_TZ = True
SITE_ID = 1

OSCAR_APPS = [
    "analytics",
    "address",
    "checkout",
    "shipping",
    "catalogue",
    "communication",
    "partner",
    "basket",
    "payment",
    "offer",
    "order",
    "customer",
    "search",
    "voucher",
    "wishlists",
    "dashboard",
]
OSCAR_DASHBOARDS = [
    "reports",
    "users",
    "orders",
    "catalogue",
    "offers",
    "partners",
    "pages",
    "ranges",
    "reviews",
    "vouchers",
    "communications",
    "shipping",
]

INSTALLED_APPS = [
    "django_celery_results",
    "backup_tasks",
    "wagtail.test.demosite",
    "wagtail.contrib.forms",
    "wagtail.contrib.redirects",
    "wagtail.contrib.search_promotions",
    "wagtail.contrib.settings",
    "wagtail.search",
    "wagtail.embeds",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.admin",
    "wagtail.api.v2",
    "wagtail",
    "modelcluster",
    "taggit",
    "rest_framework",
    "oscar.config.Shop",
    "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
    *(f"oscar.apps.{app}.apps.{app.title()}Config" for app in OSCAR_APPS),
    *(f"oscar.apps.dashboard.{app}.apps.{app.title()}DashboardConfig" for app in OSCAR_DASHBOARDS),
    "widget_tweaks",
    "haystack",
    "treebeard",
    "django_tables2",
    "sorl.thumbnail",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sites",
    "django.contrib.flatpages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "oscar.apps.basket.middleware.BasketMiddleware",
    "wagtail.contrib.redirects.middleware.RedirectMiddleware",
]
ROOT_URLCONF = "shop.urls"
# The demonstration site comes without templates.
PAGES = [
    "home_page",
    "standard_page",
    "standard_index_page",
    "blog_index_page",
    "blog_entry_page",
    "event_index_page",
    "event_page",
    "person_page",
    "contact_page",
    "form_page",
]
PAGE = "<h1>{{ page.title }}</h1>{{ page.body|safe }}{{ page.intro|safe }}"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "oscar.apps.search.context_processors.search_form",
                "oscar.apps.checkout.context_processors.checkout",
                "oscar.apps.communication.notifications.context_processors.notifications",
                "oscar.core.context_processors.metadata",
            ],
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {f"demosite/{name}.html": PAGE for name in PAGES},
                ),
                "django.template.loaders.app_directories.Loader",
            ],
        },
    },
]
WAGTAIL_SITE_NAME = "Shop"
WAGTAILADMIN_BASE_URL = "http://localhost"
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
