"""The fixtures of tests/unit/evidence."""

from tests.integration.standing.conftest import change, signing

__all__ = ["change", "signing"]
