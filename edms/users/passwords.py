"""Asks for a password again, and mails a link to whoever forgot theirs."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.contrib.auth import authenticate
from django.contrib.auth.forms import PasswordResetForm as DjangoPasswordResetForm
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from edms.users.models import User

RESET_MAIL_PAUSE: Final = timedelta(minutes=5)
"""A second link to the same person is mailed only after this time: nobody's mailbox is flooded."""


def is_own_password(request: HttpRequest, password: str) -> bool:
    """Whether `password` is that of the signed-in person.

    A wrong one counts as a failed attempt to sign in. Whoever is locked out is told so by the
    middleware of django-axes, whatever the view answers.
    """
    user = request.user
    if not user.is_authenticated:
        return False
    found = authenticate(request, username=user.get_username(), password=password)
    return found is not None and found.pk == user.pk


class PasswordResetForm(DjangoPasswordResetForm):
    """Mails a link to each active person with the address, at most one in `RESET_MAIL_PAUSE`."""

    def get_users(self, email: str) -> Iterator[User]:
        """Yield whom to mail, marked as mailed: two requests at once send one mail."""
        now = timezone.now()
        waited = Q(reset_mailed_at__isnull=True) | Q(reset_mailed_at__lt=now - RESET_MAIL_PAUSE)
        for user in super().get_users(email):
            if User.objects.filter(waited, pk=user.pk).update(reset_mailed_at=now):
                yield user
