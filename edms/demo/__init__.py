"""The demonstration data: 10 users, 5 documents with files, 4 workflows."""
