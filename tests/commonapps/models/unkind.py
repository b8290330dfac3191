"""Models whose fields are unkind, in their keys too."""

from typing import Any

from django.db import models

from backup_tasks.rows.natural_keys import NaturalKeyModel
from tests.commonapps.models.base import Common
from tests.testapp.unkind import (
    Encrypted,
    Listed,
    NoneIfEmpty,
    SecretJSON,
    Speechless,
    Strict,
    ToTheCent,
    ToTheSecond,
    Wrapped,
    Zipped,
)


class SpeechlessKey(models.CharField):  # type: ignore[type-arg]  # generic for mypy only
    """A key that is read as a thing whose text can't be had."""

    def from_db_value(self, value: Any, *_: object) -> Any:
        return None if value is None else Speechless()


class Unkind(Common):
    """A field of each kind."""

    code = models.CharField(max_length=20, unique=True)
    secret = Encrypted()
    zipped = Zipped(null=True)
    empty = NoneIfEmpty(max_length=20)
    moment = ToTheSecond(null=True)
    price = ToTheCent(max_digits=10, decimal_places=4, null=True)
    words = Listed(null=True)
    strict = Strict(max_length=20, null=True)
    hidden = SecretJSON(null=True)
    wrapped = Wrapped(null=True)

    def __str__(self) -> str:
        return self.code


class UnkindKey(Common):
    """A primary key without a text."""

    id = SpeechlessKey(primary_key=True, max_length=20)
    name = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.name


class OfUnkindKey(Common):
    """It refers to one, and has a natural key that is read rounded."""

    moment = ToTheSecond(unique=True)
    key = models.ForeignKey(UnkindKey, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return str(self.pk)


class Patient(NaturalKeyModel):
    """Its natural key is not to be read by others."""

    natural_key_fields = ("name",)

    name = Encrypted(unique=True)

    class Meta:
        app_label = "commonapps"

    def __str__(self) -> str:
        return str(self.pk)


class Visit(Common):
    """It refers to a patient."""

    code = models.CharField(max_length=20, unique=True)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return self.code
