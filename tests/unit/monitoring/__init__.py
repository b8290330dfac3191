"""Metrics, health check, rules and dashboard."""
