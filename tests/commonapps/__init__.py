"""Doubles of what common apps have: tags, trees, histories. Installed by tests only; its tables are
made without migrations."""
