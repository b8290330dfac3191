"""Links to Flower, which shows the Celery tasks of a run."""

from __future__ import annotations

from urllib.parse import quote

from backup_tasks.conf import backup_settings


def run_in_flower(run_id: str) -> str:
    """Return the address of Flower's list of the run's tasks, "" where there is no Flower.

    Flower's page of tasks takes `name`, `state` and `worker` from its address only, and makes
    `name:…` of the first: what stands after a space in it is a search term of its own. Source:
    `initialSearch` in flower.js of Flower 2.2; `kwargs:run_id=…` is its search by argument (C12).
    """
    base = backup_settings().flower_url.rstrip("/")
    search = quote(f"backup_tasks kwargs:run_id={run_id}", safe="")
    return f"{base}/tasks?name={search}" if base else ""


def task_in_flower(task_id: str) -> str:
    """Return the address of a task's page in Flower, "" where there is no Flower or no task."""
    base = backup_settings().flower_url.rstrip("/")
    return f"{base}/task/{quote(task_id, safe='')}" if base and task_id else ""
