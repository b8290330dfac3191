"""The light and `backup_status`."""
