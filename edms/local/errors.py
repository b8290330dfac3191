"""What can go wrong with the services that `edms.local` starts."""


class ServiceUnavailable(Exception):
    """A service could not be started, or ended by itself. The message says which, why, and what to
    do about it."""
