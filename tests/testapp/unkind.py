"""Fields of a project's own that are unkind: they lose, hide, refuse, or have no text."""

import codecs
import json
import zlib
from typing import Any

from django.db import models
from django.test.utils import isolate_apps


class Encrypted(models.TextField):  # type: ignore[type-arg]  # it is generic in the stubs only
    """Text that is not to be read by others."""

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return None if value is None else codecs.decode(value, "rot13")

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else codecs.encode(value, "rot13")


class Zipped(models.BinaryField):  # type: ignore[type-arg]
    """Bytes that are read decompressed, and text is what is read."""

    def from_db_value(self, value: bytes | None, *_: object) -> str | None:
        return None if value is None else zlib.decompress(value).decode()

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else zlib.compress(value.encode())


class NoneIfEmpty(models.CharField):  # type: ignore[type-arg]
    """NOT NULL, and None all the same."""

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        return value or None


class ToTheSecond(models.DateTimeField):  # type: ignore[type-arg]
    """It reads less than there is."""

    def from_db_value(self, value: Any, *_: object) -> Any:
        return None if value is None else value.replace(microsecond=0)


class ToTheCent(models.DecimalField):  # type: ignore[type-arg]
    """It reads less than there is."""

    def from_db_value(self, value: Any, *_: object) -> Any:
        return None if value is None else round(value, 2)


class Listed(models.TextField):  # type: ignore[type-arg]
    """A list in Python, without `value_to_string`."""

    def from_db_value(self, value: str | None, *_: object) -> list[str]:
        return value.split(",") if value else []


class Refusing(models.DateField):  # type: ignore[type-arg]
    """It reads what it does not take back."""

    def from_db_value(self, value: Any, *_: object) -> Any:
        return value

    def to_python(self, value: Any) -> Any:
        raise RuntimeError("no value of this kind")


class Strict(models.CharField):  # type: ignore[type-arg]
    """It refuses what it does not like."""

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        if value == "odd":
            raise RuntimeError("odd")
        return value


class SecretJSON(models.JSONField):
    """JSON that is stored as other text."""

    def db_type(self, connection: Any) -> str:
        return "text"

    def from_db_value(self, value: str | None, *_: object) -> Any:
        return None if value is None else json.loads(codecs.decode(value, "rot13"))

    def get_db_prep_value(self, value: Any, *_: object, **__: object) -> Any:
        return None if value is None else codecs.encode(json.dumps(value), "rot13")


class Speechless:
    """A value whose text can't be had."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Wrapped(models.IntegerField):  # type: ignore[type-arg]
    """A number that is read as a thing of the project's own."""

    def from_db_value(self, value: Any, *_: object) -> Any:
        return None if value is None else Speechless()


@isolate_apps("tests.testapp")
def unkind_model() -> type[models.Model]:
    """Return a model with a field of each kind, which no migration knows."""

    class Unkind(models.Model):
        secret = Encrypted()
        zipped = Zipped(null=True)
        empty = NoneIfEmpty(max_length=20)
        moment = ToTheSecond(null=True)
        price = ToTheCent(max_digits=10, decimal_places=4, null=True)
        words = Listed(null=True)
        strict = Strict(max_length=20, null=True)
        hidden = SecretJSON(null=True)
        wrapped = Wrapped(null=True)

        class Meta:
            app_label = "testapp"

        def __str__(self) -> str:
            return str(self.pk)

    return Unkind
