"""The shop below /shop/, the pages of the CMS everywhere else."""

from typing import Any, cast

from django.apps import apps
from django.urls import include, path
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as wagtailadmin_urls

oscar_urls, _, _ = cast(Any, apps.get_app_config("oscar")).urls

urlpatterns = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("cms/", include(wagtailadmin_urls)),
    path("shop/", include(oscar_urls)),
    path("", include(wagtail_urls)),
]
