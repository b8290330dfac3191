"""The demonstration data: 10 users, 5 documents with files, 4 workflows."""

PASSWORD = "demo-1234-edms"  # noqa: S105  # of a demonstration, printed by the command
