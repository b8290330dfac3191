"""Keys and key files that are none are told before any work is done."""

import stat
from pathlib import Path

import pytest
from pytest_django import Settings

from backup_tasks.package.signature import generate_key
from tests.unit.checks.fired import Fired, messages


@pytest.mark.parametrize("name", ["IDENTITIES", "SIGNING_KEY"])
def test_a_key_file_that_is_missing_is_named(fired: Fired, tmp_path: Path, name: str) -> None:
    path = str(tmp_path / "no.key")

    message = fired("W001", **{name: path if name == "SIGNING_KEY" else [path]})

    assert path in message.msg
    assert name in message.msg


def test_a_key_file_that_others_can_read_is_named(
    fired: Fired, settings: Settings, tmp_path: Path
) -> None:
    key = tmp_path / "signing.key"
    key.write_text(generate_key()[0])
    key.chmod(0o644)

    assert str(key) in fired("W001", SIGNING_KEY=str(key)).msg

    key.chmod(stat.S_IRUSR)
    assert messages() == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("SIGNING_KEY", b"secret"),
        ("SIGNING_KEY", b"\xff\xfe\x00"),
        ("IDENTITIES", b"\x00\x9f\x92\x96"),
        ("IDENTITIES", b"# no key in here\n"),
    ],
)
def test_a_key_file_without_a_key_is_named(
    fired: Fired, tmp_path: Path, name: str, content: bytes
) -> None:
    key = tmp_path / "some.key"
    key.write_bytes(content)
    key.chmod(stat.S_IRUSR)

    message = fired("W009", **{name: str(key) if name == "SIGNING_KEY" else [str(key)]})

    assert str(key) in message.msg


@pytest.mark.parametrize("value", ["age1notakey", "", "ssh-rsa é", 7])
@pytest.mark.parametrize("name", ["RECIPIENTS", "TRUSTED_KEYS"])
def test_a_public_key_that_is_none_is_named(fired: Fired, name: str, value: object) -> None:
    assert name in fired("W009", **{name: [value]}).msg


def test_encryption_that_is_required_and_impossible_is_named(fired: Fired) -> None:
    assert "RECIPIENTS" in str(fired("W010", REQUIRE_ENCRYPTION=True).hint)
