"""What the steps of a restore need: the package, whether it fits, and what it replaces."""
