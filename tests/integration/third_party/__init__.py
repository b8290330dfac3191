"""Projects whose code this one has never seen, with nothing but settings."""
