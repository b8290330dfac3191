"""What is over live's tables, or names them, and is looked at when others have replaced them."""

from __future__ import annotations

from collections.abc import Sequence

from backup_tasks.engines import Engine
from backup_tasks.restore import publications


def follow(engine: Engine, tables: Sequence[str]) -> list[str]:
    """Refresh materialized views that a promote of the tables did not build anew. Return warnings:
    what could not be refreshed, and what subscribers of publications have to do."""
    return [*engine.refresh_views(tables), *publications.to_refresh(engine, tables)]
