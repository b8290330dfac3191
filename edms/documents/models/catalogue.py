"""What documents are filed under: types, number series, sources, labels, tags."""

from django.db import models

from backup_tasks.rows.natural_keys import NaturalKeyModel


class DocumentType(NaturalKeyModel):
    """A kind of document: SOP, policy, form, …"""

    natural_key_fields = ("code",)

    code = models.SlugField(max_length=10, unique=True, help_text="Also starts the numbers.")
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    review_months = models.PositiveSmallIntegerField(
        default=24, help_text="Months between periodic reviews."
    )
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class NumberSeries(NaturalKeyModel):
    """The last number given to a document of a type in a year: `SOP-2026-0007` is number 7."""

    natural_key_fields = ("document_type", "year")

    document_type = models.ForeignKey(
        DocumentType, on_delete=models.CASCADE, related_name="number_series"
    )
    year = models.PositiveSmallIntegerField()
    last_number = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["document_type", "year"]
        verbose_name_plural = "number series"
        constraints = [
            models.UniqueConstraint(
                fields=["document_type", "year"], name="documents_series_once_a_year"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document_type.code}-{self.year}-{self.last_number:04d}"


class DocumentSource(NaturalKeyModel):
    """Where documents come from: written here, scanned from paper, sent by a supplier."""

    natural_key_fields = ("code",)

    code = models.SlugField(max_length=20, unique=True)
    name = models.CharField(max_length=100)
    is_external = models.BooleanField(default=False)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class SensitivityLabel(NaturalKeyModel):
    """How widely a document may be read."""

    natural_key_fields = ("code",)

    code = models.SlugField(max_length=20, unique=True)
    name = models.CharField(max_length=60)
    rank = models.PositiveSmallIntegerField(default=0, help_text="Higher is more sensitive.")
    readers = models.ManyToManyField(
        "users.Role",
        blank=True,
        related_name="labels_readable",
        help_text="Roles that may read documents with this label; none: every role.",
    )

    class Meta:
        ordering = ["rank"]

    def __str__(self) -> str:
        return self.name


class Tag(NaturalKeyModel):
    """A word that documents are found by."""

    natural_key_fields = ("name",)

    name = models.CharField(max_length=50, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
