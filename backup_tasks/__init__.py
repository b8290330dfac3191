"""Backup, restore and recovery of a whole Django project, as Celery chains."""

__version__ = "0.1.0"
