"""PostgreSQL: staging and undo are schemas beside the live one, in the same database."""
