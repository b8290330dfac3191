"""The light for programs: metrics for Prometheus, a health check, and files for Prometheus and
Grafana.

A project includes `backup_tasks.monitoring.urls` where it wants them.
"""
