"""A person's own account: time zone, password, and a new password where it is forgotten.

The views are Django's. The admin has templates of the same names as theirs, so each names its own.
"""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm as DjangoPasswordChangeForm
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_http_methods

from edms.configuration.models import setting
from edms.pages.reader import reader_of
from edms.users.passwords import PasswordResetForm, is_own_password
from edms.users.time_zone import zones


class PasswordChangeForm(DjangoPasswordChangeForm):
    """The old password and a new one, twice. A wrong old one counts as a failed sign-in."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        """Refuse a wrong password, and any password of somebody who is locked out."""
        password: str = self.cleaned_data["old_password"]
        if not is_own_password(self.request, password):
            raise forms.ValidationError(self.error_messages["password_incorrect"])
        return password


class PasswordChange(views.PasswordChangeView):
    """Change one's password; sessions elsewhere end."""

    form_class = PasswordChangeForm
    template_name = "edms/form.html"
    success_url = reverse_lazy("dashboard")
    extra_context = {"title": "Change password", "button": "Change password"}

    def get_form_kwargs(self) -> dict[str, Any]:
        """Hand the request on, by which attempts are counted."""
        return {**super().get_form_kwargs(), "request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add what the page's head shows."""
        return super().get_context_data(reader=reader_of(self.request), **kwargs)

    def form_valid(self, form: BaseForm) -> HttpResponse:
        """Say that it is done."""
        messages.success(self.request, "Your password is changed. Other sessions have ended.")
        return super().form_valid(form)


class PasswordReset(views.PasswordResetView):
    """Ask for a link by mail. The answer is the same whether or not there is such a person."""

    form_class = PasswordResetForm
    template_name = "edms/form.html"
    email_template_name = "edms/password_reset_mail.txt"
    subject_template_name = "edms/password_reset_subject.txt"
    success_url = reverse_lazy("login")
    extra_context = {
        "title": "Forgotten password",
        "lead": "Give the mail address of your account. A link to a new password is sent to it.",
        "button": "Send link",
    }

    def form_valid(self, form: BaseForm) -> HttpResponse:
        """Say what happens if the address is known."""
        self.extra_email_context = {
            "company": setting("company", "EDMS"),
            "minutes": settings.PASSWORD_RESET_TIMEOUT // 60,
        }
        messages.success(
            self.request,
            "If an account has this address, a link is sent to it. No mail after five minutes: "
            "ask an administrator.",
        )
        return super().form_valid(form)


class PasswordResetConfirm(views.PasswordResetConfirmView):
    """Choose a new password, by the link of the mail. It signs nobody in and unlocks nobody."""

    template_name = "edms/form.html"
    success_url = reverse_lazy("login")
    extra_context = {"title": "New password", "button": "Set password"}

    def form_valid(self, form: BaseForm) -> HttpResponse:
        """Say that it is done."""
        messages.success(self.request, "Your password is set. Sign in with it.")
        return super().form_valid(form)


class AccountForm(forms.Form):
    """How the EDMS shows things to a person."""

    time_zone = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["time_zone"]
        field.choices = [("", f"As the system: {settings.TIME_ZONE}"), *((z, z) for z in zones())]


@login_required
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """My settings, and the way to a new password."""
    reader = reader_of(request)
    form = AccountForm(request.POST or None, initial={"time_zone": reader.user.time_zone})
    if request.method == "POST" and form.is_valid():
        reader.user.time_zone = form.cleaned_data["time_zone"]
        reader.user.save(update_fields=["time_zone"])
        messages.success(request, "Saved.")
        return redirect("account")
    context = {"reader": reader, "form": form, "title": "My account", "button": "Save"}
    return render(request, "edms/account.html", context, status=400 if form.errors else 200)
