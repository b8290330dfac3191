"""Knows who is acting, so that a change deep in a service is recorded under the right name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from edms.users.models import User

_actor: ContextVar[User | None] = ContextVar("actor", default=None)


def current() -> User | None:
    """Return who is acting; None is the system itself."""
    return _actor.get()


@contextmanager
def acting(user: User | None) -> Iterator[None]:
    """Record the changes made within as made by `user`."""
    token = _actor.set(user)
    try:
        yield
    finally:
        _actor.reset(token)


class ActorMiddleware:
    """Makes the signed-in user the actor of their request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with its user as the actor."""
        user = request.user
        with acting(user if isinstance(user, User) else None):
            return self.get_response(request)
