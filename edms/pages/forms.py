"""The forms of the pages."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Exists, OuterRef, Q

from edms.configuration.models import setting
from edms.documents.models import (
    Document,
    DocumentSource,
    DocumentType,
    SensitivityLabel,
    Tag,
)
from edms.users.models import Department, User
from edms.users.permissions import Ability, people_with
from edms.workflows.models import DocumentState, PeriodicReview


class UploadField(forms.FileField):
    """A file of a kind and size that the system settings admit."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Refuse files that are too large or of another kind."""
        file = super().clean(data, initial)
        if isinstance(file, UploadedFile):
            suffix = PurePosixPath(file.name or "").suffix.lower().lstrip(".")
            allowed = setting("file_suffixes", ["pdf"])
            megabytes = setting("upload_megabytes", 50)
            if suffix not in allowed:
                raise forms.ValidationError(
                    f"Files of kind “{suffix or 'none'}” are not taken. "
                    f"Choose one of: {', '.join(allowed)}."
                )
            if (file.size or 0) > megabytes * 1_000_000:
                raise forms.ValidationError(f"The file is larger than {megabytes} MB.")
        return file


SORTS = {
    "number": "Number",
    "title": "Title",
    "type": "Type",
    "state": "State",
    "author": "Author",
    "changed": "Changed",
}
"""The columns of the document list."""


def _orders() -> Iterator[tuple[str, str]]:
    for key, name in SORTS.items():
        yield key, f"{name}, upwards"
        yield f"-{key}", f"{name}, downwards"


class DayField(forms.DateField):
    """A day, chosen from the browser's calendar."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class SearchForm(forms.Form):
    """What the document list is narrowed and sorted by."""

    q = forms.CharField(label="Search", required=False, max_length=100)
    type = forms.ModelChoiceField(
        DocumentType.objects.all(), required=False, to_field_name="code", empty_label="Any type"
    )
    state = forms.ModelChoiceField(
        DocumentState.objects.all(), required=False, empty_label="Any state"
    )
    department = forms.ModelChoiceField(
        Department.objects.all(),
        required=False,
        to_field_name="code",
        empty_label="Any department",
    )
    tag = forms.CharField(label="Tag", required=False, max_length=50)
    author = forms.ModelChoiceField(
        User.objects.filter(Exists(Document.objects.filter(author=OuterRef("pk")))).order_by(
            "first_name", "username"
        ),
        required=False,
        to_field_name="username",
        empty_label="Any author",
    )
    since = DayField(label="Changed since", required=False)
    until = DayField(label="Changed until", required=False)
    sort = forms.ChoiceField(
        label="Sort by",
        required=False,
        choices=[("", "Best match, number"), *_orders()],
    )


class DocumentForm(forms.Form):
    """A new document with its first file."""

    title = forms.CharField(max_length=200)
    document_type = forms.ModelChoiceField(DocumentType.objects.filter(is_active=True))
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))
    source = forms.ModelChoiceField(DocumentSource.objects.all(), required=False)
    sensitivity = forms.ModelChoiceField(SensitivityLabel.objects.all(), required=False)
    tag_names = forms.CharField(
        label="Tags", required=False, max_length=200, help_text="Separated by commas."
    )
    file = UploadField(label="First version", required=False)

    def __init__(self, *args: Any, author: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Four eyes: the author can't be chosen.
        for name, ability in (("reviewer", Ability.REVIEW), ("approver", Ability.APPROVE)):
            self.fields[name] = forms.ModelChoiceField(people_with(ability).exclude(pk=author.pk))
        self.order_fields(["title", "document_type", "reviewer", "approver"])

    def tags(self) -> list[Tag]:
        """The tags that were typed, made where they are new."""
        names = {name.strip().lower()[:50] for name in self.cleaned_data["tag_names"].split(",")}
        return [Tag.objects.get_or_create(name=name)[0] for name in sorted(names) if name]

    def document_fields(self) -> dict[str, Any]:
        """The values of the document's own fields."""
        apart = ("file", "tag_names")
        return {name: value for name, value in self.cleaned_data.items() if name not in apart}


class VersionForm(forms.Form):
    """A new version of a document's file."""

    file = UploadField(label="New version")
    change_summary = forms.CharField(label="What changed", required=False, max_length=500)


class AttachmentForm(forms.Form):
    """A file that goes with a document."""

    file = UploadField(label="New attachment")


class CommentForm(forms.Form):
    """A comment, or an answer to one."""

    text = forms.CharField(
        label="Comment", max_length=5000, widget=forms.Textarea(attrs={"rows": 3})
    )
    parent = forms.IntegerField(required=False, widget=forms.HiddenInput)


class ReviewForm(forms.Form):
    """What a periodic review found."""

    outcome = forms.ChoiceField(choices=PeriodicReview.Outcome.choices)
    comment = forms.CharField(required=False, max_length=1000)


class ReadersForm(forms.Form):
    """Who is to read a document."""

    people = forms.ModelMultipleChoiceField(
        User.objects.filter(is_active=True).order_by("first_name", "username"),
        required=False,
        to_field_name="username",
        widget=forms.SelectMultiple(attrs={"size": 5}),
    )
    department = forms.ModelChoiceField(
        Department.objects.all(), required=False, to_field_name="code", empty_label="No department"
    )

    def readers(self) -> list[User]:
        """The people chosen, and the active members of the department, each once."""
        chosen = Q(pk__in=self.cleaned_data["people"])
        if self.cleaned_data["department"]:
            chosen |= Q(department=self.cleaned_data["department"])
        return list(User.objects.filter(chosen, is_active=True))
