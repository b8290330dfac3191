"""People: departments, users, roles and who holds which role."""
