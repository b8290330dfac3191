"""The ledger, the chains, and what executes them."""
