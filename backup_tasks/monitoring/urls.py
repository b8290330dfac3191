"""Addresses of the metrics and of the health check."""

from django.urls import path

from backup_tasks.monitoring.views import health, metrics

app_name = "backup_monitoring"
urlpatterns = [
    path("metrics", metrics, name="metrics"),
    path("health", health, name="health"),
]
