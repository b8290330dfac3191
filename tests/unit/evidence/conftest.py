"""A small EDMS that signs."""

from tests.integration.standing.conftest import change, engine, signing

__all__ = ["change", "engine", "signing"]
