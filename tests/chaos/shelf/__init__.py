"""Documents with authors, tags and files."""
