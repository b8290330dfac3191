"""MariaDB: staging and undo are databases beside the live one, on the same server."""
