"""The first `.env`: fresh, complete, private, written once."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from config.envfile import FRESH, write_if_missing

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    return tmp_path


def values(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_every_secret_of_the_example_gets_a_value(folder: Path) -> None:
    assert write_if_missing(folder)
    written = values(folder)
    assert set(FRESH) <= set(written)
    assert all(written.values())


def test_only_its_owner_can_read_it(folder: Path) -> None:
    write_if_missing(folder)
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_one_that_is_there_is_not_touched(folder: Path) -> None:
    (folder / ".env").write_text("SECRET_KEY=mine\n")
    assert not write_if_missing(folder)
    assert (folder / ".env").read_text() == "SECRET_KEY=mine\n"


def test_secrets_are_different_every_time(folder: Path) -> None:
    write_if_missing(folder)
    first = values(folder)
    (folder / ".env").unlink()
    write_if_missing(folder)
    assert [name for name in FRESH if first[name] == values(folder)[name]] == []


def test_the_field_key_encrypts(folder: Path) -> None:
    write_if_missing(folder)
    box = Fernet(values(folder)["FIELD_KEYS"])
    assert box.decrypt(box.encrypt(b"word")) == b"word"
