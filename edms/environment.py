"""Reads typed values from environment variables; used by `edms.settings` only.

A secret `NAME` may be given as the variable itself or as `NAME_FILE`, the path of a file that
holds it (the way container platforms hand secrets over). Setting both is an error.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}

_ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "sqlite3": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
}


def text(name: str, default: str = "") -> str:
    """The variable `name`, stripped; `default` where it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def secret(name: str) -> str:
    """The secret `name`, or the content of the file `NAME_FILE` points to; "" where neither is set.

    Raises ImproperlyConfigured where both are set or the file can't be read.
    """
    value, path = text(name), text(f"{name}_FILE")
    if not path:
        return value
    if value:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set. Set only one of them.")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE: can't read {path}: {error.strerror}.") from error


def flag(name: str, *, default: bool) -> bool:
    """The variable `name` as a boolean (1/0, true/false, yes/no, on/off)."""
    value = text(name).lower()
    if not value:
        return default
    if value in _TRUE | _FALSE:
        return value in _TRUE
    raise ImproperlyConfigured(f"{name} is {value!r}. Use one of 1, 0, true, false, on, off.")


def number(name: str, default: int, *, least: int = 1) -> int:
    """The variable `name` as a whole number, from `least` to a million."""
    value = text(name, str(default))
    is_number = value.isascii() and value.isdecimal() and len(value) <= 7
    if not (is_number and least <= int(value) <= 1_000_000):
        raise ImproperlyConfigured(
            f"{name} is {value!r}. Use a whole number from {least} to 1000000."
        )
    return int(value)


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """The variable `name` as a list, separated by commas or white space."""
    return text(name).replace(",", " ").split() or list(default)


def pairs(name: str) -> dict[str, str]:
    """The secret `name` as a mapping: NAME=VALUE, separated by white space."""
    found = [word.partition("=") for word in secret(name).split()]
    if not all(key and value for key, _, value in found):
        raise ImproperlyConfigured(f"{name} is not NAME=VALUE, separated by spaces.")
    return {key: value for key, _, value in found}


def database(url: str) -> dict[str, Any]:
    """The entry of DATABASES that a database URL describes.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgres://user:password@host:port/name`,
    `mysql://…`. What follows `?` becomes OPTIONS (`sslmode=require`), except `conn_max_age`
    (seconds) and, for a server on a Unix socket, `host` (its directory).
    """
    parts = urlsplit(url)
    engine = _ENGINES.get(parts.scheme)
    if engine is None:
        known = ", ".join(_ENGINES)
        raise ImproperlyConfigured(
            f"DATABASE_URL starts with {parts.scheme!r}. Known schemes: {known}."
        )
    if engine.endswith("sqlite3"):
        return _sqlite(engine, parts)
    return _server(engine, parts)


def _sqlite(engine: str, parts: SplitResult) -> dict[str, Any]:
    name = unquote(parts.path)[1:]
    if not name:
        raise ImproperlyConfigured("DATABASE_URL names no file. Use sqlite:///path/to/file.")
    if name != ":memory:":
        # Commands that need the database refuse a path that has none. Commands that list what is
        # in the stores work without it.
        name = str(Path(name).resolve())
    return {
        "ENGINE": engine,
        "NAME": name,
        "OPTIONS": {
            # Readers never wait for the writer. A writer waits at its first statement, so it does
            # not fail later when it upgrades a read lock.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA busy_timeout=20000",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


def _server(engine: str, parts: SplitResult) -> dict[str, Any]:
    name = unquote(parts.path).lstrip("/")
    if not name:
        raise ImproperlyConfigured("DATABASE_URL names no database: add /name at its end.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    conn_max_age = int(options.pop("conn_max_age", 60))
    host = options.pop("host", "") or unquote(parts.hostname or "")
    if engine.endswith("mysql"):
        _have_mysql_driver()
        options.setdefault("charset", "utf8mb4")
    return {
        "ENGINE": engine,
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": conn_max_age,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def _have_mysql_driver() -> None:
    """Use PyMySQL, which needs no compiler, where mysqlclient is not installed."""
    if importlib.util.find_spec("MySQLdb") is not None:
        return
    if importlib.util.find_spec("pymysql") is None:
        raise ImproperlyConfigured(
            "DATABASE_URL names a MariaDB database, and there is no driver: install mysqlclient, "
            "or this project's extra `mariadb` (PyMySQL)."
        )
    importlib.import_module("pymysql").install_as_MySQLdb()


def store(location: str) -> dict[str, Any]:
    """The entry of STORAGES for a backup store: a folder, or `s3://bucket/prefix`.

    Credentials and endpoint of S3 come from the AWS variables that boto3 reads by itself.
    """
    if location.startswith("s3://"):
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        if not bucket:
            raise ImproperlyConfigured("BACKUP_STORE names no bucket. Use s3://bucket/prefix.")
        return {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": bucket,
                "location": prefix,
                "file_overwrite": False,
                "max_memory_size": 1 << 20,  # larger files are spooled to the disk
            },
        }
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(Path(location).resolve())},
    }
