"""URLs of the EDMS."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from edms.health import health

urlpatterns = [
    path("health", health, name="health"),
    path("backup/", include("backup_tasks.monitoring.urls")),
    # Its own page of the admin would let a wrong old password go uncounted.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password-change")),
    path("admin/", admin.site.urls),
    path("", include("edms.pages.urls")),
]
