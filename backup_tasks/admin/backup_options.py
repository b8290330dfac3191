"""What a backup that is started from a page may be asked for."""

from __future__ import annotations

from typing import Any

from django import forms

from backup_tasks.backup.options import package_options
from backup_tasks.conf import backup_settings
from backup_tasks.errors import BackupError
from backup_tasks.package.facts import LABEL_LIMIT


class BackupOptions(forms.Form):
    """The options of `create_backup`, but for `--output`: a path is one of this machine's."""

    type = forms.ChoiceField(
        label="What to back up",
        choices=[
            ("full", "Database and files"),
            ("database", "Database only"),
            ("files", "Files only"),
        ],
        initial="full",
        widget=forms.RadioSelect,
    )
    label = forms.CharField(
        required=False,
        max_length=LABEL_LIMIT,
        help_text="Part of its name, such as before-upgrade. A label has a retention of its own; "
        "a package with one is not taken for the newest, unless the settings say so.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField"}),
    )
    include = forms.CharField(
        label="Only these apps or models",
        required=False,
        help_text="Separated by spaces, as app or app.Model; what they need comes along. "
        "Empty: all.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "class": "vTextField"}),
    )
    exclude = forms.CharField(
        label="Not these apps or models",
        required=False,
        widget=forms.TextInput(attrs={"spellcheck": "false", "class": "vTextField"}),
    )
    compress = forms.ChoiceField(
        label="Compression", choices=[("zstd", "zstd"), ("gzip", "gzip"), ("none", "none")]
    )
    include_users = forms.BooleanField(
        label="Users, and what belongs to them", required=False, initial=True
    )
    accept_missing_files = forms.BooleanField(
        label="Files that are missing are gone for good: the backup is complete without them",
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        """Refuse what a run would refuse before any work."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                package_options(self.params(), backup_settings())
            except BackupError as error:
                raise forms.ValidationError(str(error)) from error
        return cleaned

    def params(self) -> dict[str, Any]:
        """Return what was chosen, as parameters of the run."""
        chosen = dict(self.cleaned_data)
        return chosen | {name: chosen[name].split() for name in ("include", "exclude")}
