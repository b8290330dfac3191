"""A throw-away project: Wagtail's demonstration site and an Oscar shop, side by side."""
