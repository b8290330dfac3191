"""URLs of the EDMS."""

from django.contrib import admin
from django.urls import include, path

from edms.health import health

urlpatterns = [
    path("health", health, name="health"),
    path("backup/", include("backup_tasks.monitoring.urls")),
    path("admin/", admin.site.urls),
    path("", include("edms.pages.urls")),
]
