"""Runs: the chains of steps, and how they are executed, on workers or in a command."""
