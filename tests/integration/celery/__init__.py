"""Real chains on real workers over a real Redis."""
