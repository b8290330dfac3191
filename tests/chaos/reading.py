"""A client that reads live all the while, and can't be told that a restore goes on."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos.clients import client_of, is_retryable
from tests.services import Project

QUERIES = ("SELECT gen FROM shelf_author", "SELECT gen FROM shelf_tag")
DOCUMENTS = "SELECT gen, file FROM shelf_document"


class Reader:
    """Looks at three tables in one transaction, and at the files that the rows name, again and
    again."""

    def __init__(self, project: Project) -> None:
        self.looks: Counter[str] = Counter()
        """How often it saw each generation."""
        self.again = 0
        """How often a file had gone since its row was read, or the server asked to begin again, and
        the second look was well."""
        self.wrong: list[str] = []
        self._project = project
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _loop(self) -> None:
        try:
            with client_of(self._project) as client:
                while not self._stop.wait(0.01):
                    self._look(client)
        except Exception as error:  # noqa: BLE001  # told to the test's own thread
            self.wrong.append(repr(error))

    def _look(self, client: Any) -> None:
        """One request of a user. A file that has gone meanwhile is what a reload is for: rows and
        files are read one after the other."""
        for attempt in range(2):
            try:
                generations, names = self._rows(client)
            except Exception as error:
                if attempt or not is_retryable(error):
                    raise
                client.execute("ROLLBACK")
                continue
            if len(generations) > 1:
                self.wrong.append(f"a mixed state: {generations}")
            missing = [name for name in names if not self._is_readable(name)]
            if not missing:
                self.again += attempt
                self.looks["".join(generations)] += 1
                return
        self.wrong.append(f"rows of {generations} miss their files: {missing}")

    @staticmethod
    def _rows(client: Any) -> tuple[set[str], set[str]]:
        client.execute("BEGIN")
        generations = {row[0] for query in QUERIES for row in client.execute(query).fetchall()}
        documents = client.execute(DOCUMENTS).fetchall()
        client.execute("COMMIT")
        return generations | {row[0] for row in documents}, {row[1] for row in documents}

    def _is_readable(self, name: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return bool(Path(self._project.media / name).read_bytes())
        return False


@contextlib.contextmanager
def reader_of(project: Project) -> Iterator[Reader]:
    """A reader at work; at the end it must have seen something, and nothing wrong."""
    reader = Reader(project)
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()
    assert reader.wrong == []
    assert reader.looks
