"""SQLite: staging and undo schemas are files beside the live one."""
