"""An app of what Django 6.1 brought to models. Installed by tests only; its tables are made without
migrations."""
