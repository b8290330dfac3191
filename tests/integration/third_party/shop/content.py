"""Fills the project with what its applications bring along to try them with."""

from decimal import Decimal
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.images import ImageFile
from django.core.management import call_command
from oscar.test import factories
from wagtail.documents.models import Document
from wagtail.images.models import Image
from wagtail.images.tests.utils import get_test_image_file
from wagtail.models import Page

PRODUCTS = 25
ON_THEIR_OWN = [
    "Category",
    "ConditionalOffer",
    "Option",
    "ProductAlert",
    "ProductAttributeValue",
    "ProductImage",
    "ProductReview",
    "Range",
    "Transaction",
    "UserAddress",
    "VoucherSet",
]
"""Factories that make whatever else they need."""


def fill() -> None:
    """Make pages with revisions, files, an index of references, and a shop that has sold things."""
    users = [factories.UserFactory() for _ in range(5)]
    fill_cms(users)
    fill_shop(users)
    call_command("rebuild_references_index", verbosity=0)
    call_command("update_index", verbosity=0)


def fill_cms(users: list[Any]) -> None:
    call_command("loaddata", "demosite", verbosity=0)
    for document in Document.objects.all():
        document.file.save(f"document-{document.pk}.txt", ContentFile(b"of document" * 99))
    for image in Image.objects.all():
        image.file.save(f"image-{image.pk}.png", ImageFile(get_test_image_file()))
    for page in Page.objects.filter(depth__gt=1).specific():
        page.save_revision(user=users[0]).publish()


def fill_shop(users: list[Any]) -> None:
    for number in range(PRODUCTS):
        factories.create_product(
            upc=f"upc-{number}",
            title=f"Product {number} – größer",
            price=Decimal("9.99"),
            num_in_stock=number,
            partner_users=users[:2],
            attributes={"colour": "grün"},
        )
    for number, user in enumerate(users):
        factories.create_order(
            number=f"order-{number}",
            user=user,
            shipping_address=factories.ShippingAddressFactory(),
            billing_address=factories.BillingAddressFactory(),
        )
    factories.create_voucher()
    factories.create_shipping_weight_band(Decimal(1), Decimal(2))
    factories.WishListFactory(owner=users[0])
    for name in ON_THEIR_OWN:
        getattr(factories, f"{name}Factory")()
