"""Typed confirmations: before live data is replaced, a person types the full name of the package or
run concerned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms


class TypedConfirmation(forms.Form):
    """Valid only if the expected text was typed."""

    typed = forms.CharField(
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
                "class": "vTextField",
            }
        ),
        error_messages={"required": "Nothing was typed, so nothing was started."},
    )

    def __init__(self, *args: Any, expected: str, what: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.expected = expected
        self.fields["typed"].label = f"Type {what} to confirm"

    def clean_typed(self) -> str:
        """Refuse anything but the expected text."""
        typed: str = self.cleaned_data["typed"]
        if typed != self.expected:
            raise forms.ValidationError(
                "This is not what was asked for, so nothing was started. Type it exactly as it is "
                "shown above, or leave this page."
            )
        return typed


class PromoteConfirmation(TypedConfirmation):
    """The confirmation of a run that replaces tables, which publications may name."""

    republish = forms.BooleanField(required=False)

    def __init__(self, *args: Any, publications: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["republish"].label = (
            f"Let the publications {', '.join(publications)} name the new tables: every subscriber "
            "has to copy them again then"
        )
        if not publications:
            del self.fields["republish"]

    def params(self) -> dict[str, Any]:
        """Return what was chosen, as parameters of the run."""
        return {name: value for name, value in self.cleaned_data.items() if name != "typed"}


class UndoConfirmation(PromoteConfirmation):
    """The confirmation of an undo, with what may be lost by it."""

    accept_missing_files = forms.BooleanField(
        label="Go on where files that were kept for it are gone: live's stay in their place",
        required=False,
    )
    accept_lost_structure = forms.BooleanField(
        label="Go on where columns, indexes and the like were added to live's tables since: they "
        "are lost",
        required=False,
    )
    field_order = ["accept_missing_files", "accept_lost_structure", "republish", "typed"]


class RestoreConfirmation(PromoteConfirmation):
    """The confirmation of a restore, with what can be chosen about it."""

    type = forms.ChoiceField(
        label="What to restore",
        choices=[
            ("full", "Database and files"),
            ("database", "Database only; files stay as they are"),
            ("files", "Files only; the database stays as it is"),
        ],
        initial="full",
        widget=forms.RadioSelect,
    )
    identity = forms.CharField(
        label="Identity file",
        required=False,
        max_length=1024,
        help_text="Path, on the workers, of the file with the age identity that opens the package. "
        "Leave it empty where the settings name one.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "class": "vTextField"}
        ),
    )
    allow_unsigned = forms.BooleanField(
        label="Restore it although it is not signed: I know where this package comes from",
        required=False,
    )
    field_order = ["type", "identity", "allow_unsigned", "republish", "typed"]

    def __init__(
        self,
        *args: Any,
        holds_both: bool,
        encrypted: bool,
        needs_signature: bool,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        if not holds_both:
            del self.fields["type"]
        if not encrypted:
            del self.fields["identity"]
        if not needs_signature:
            del self.fields["allow_unsigned"]
        self.order_fields(self.field_order)
