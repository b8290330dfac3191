"""`manage.py generate_documents`: a large, realistic, reproducible data set."""

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from edms import defaults
from edms.users.models import User
from edms.volume.chance import Chance
from edms.volume.documents import DocumentFactory, refresh_statistics
from edms.volume.files import generate_files
from edms.volume.insertion import Keys, referring_ahead
from edms.volume.people import generate_people


class Command(BaseCommand):
    """Adds documents and users with versions, chains, threads, workflows and audit rows."""

    help = "Add a large, realistic data set; the same seed gives the same data on every engine."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the sizes and the seed."""
        parser.add_argument("--documents", type=at_least(1), default=1000, metavar="N")
        parser.add_argument(
            "--users", type=at_least(3), default=50, metavar="N", help="at least 3 (four eyes)"
        )
        parser.add_argument(
            "--files-mb",
            type=at_least(0),
            default=0,
            metavar="N",
            help="megabytes of files in all; default: 20 small text files",
        )
        parser.add_argument("--seed", type=int, default=1, help="default: 1")

    def handle(self, *args: Any, **options: Any) -> None:
        """Generate; progress goes to stderr, one line of figures to stdout."""
        started = time.monotonic()
        documents, users = options["documents"], options["users"]
        defaults.seed("default")
        # A second run with the same seed adds other rows: UUIDs must not come twice.
        chance, keys = Chance(f"{options['seed']} after {User.objects.count()} users"), Keys()
        files = generate_files(options["files_mb"], options["seed"])

        def tell(done: int) -> None:
            if done == documents or done % 10_000 == 0:
                seconds = time.monotonic() - started
                self.stderr.write(f"{done} of {documents} documents, {seconds:.0f} s")

        with referring_ahead():
            with transaction.atomic():
                people = generate_people(users, chance, keys)
                keys.settle()
            DocumentFactory(people, files, chance, keys).generate(documents, tell)
        refresh_statistics()
        seconds = time.monotonic() - started
        self.stdout.write(
            f"Added {documents} documents, {users} users and {len(files)} files "
            f"({sum(file.size for file in files) / 1e6:.1f} MB) in {seconds:.0f} s."
        )


def at_least(lowest: int) -> Any:
    """Return an argument type: whole numbers from `lowest` on."""

    def number(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"must be at least {lowest}")
        return value

    return number
