"""Admin pages of records that nobody edits by hand."""

from typing import Any

from django.http import HttpRequest

from edms.typed_admin import ModelAdmin


class MadeByServicesAdmin(ModelAdmin):
    """Shows rows that the EDMS itself makes; lets nobody add or change one by hand.

    They can be deleted, as deleting a document deletes them too.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds to the records."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes them."""
        return False


class ReadOnlyAdmin(MadeByServicesAdmin):
    """Shows rows; lets nobody add, change or delete one."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes from them."""
        return False
