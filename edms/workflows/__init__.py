"""Review workflows: states, allowed moves, and the history of each document."""
