"""SQLite: staging and undo are files beside the live one."""
