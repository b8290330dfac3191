"""Errors about the structure of live, of all engines."""

from __future__ import annotations

from collections.abc import Sequence

from backup_tasks.errors import DoesNotFit


def lacks_columns(table: str, names: Sequence[str]) -> DoesNotFit:
    """Return the error for a table of live that lacks columns which migrations make."""
    return DoesNotFit(
        f"live's table lacks columns that its migrations make: {', '.join(names)}",
        obj=f"table {table}",
        hint="Live data was not touched. Add them to live's table; or --rebuild builds the tables "
        "by the migrations.",
    )
