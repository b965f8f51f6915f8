"""Writes a first `.env` from `.env.example`, with fresh secrets, readable by its owner only.

Before everything else: the settings do not load without secrets, so nothing here may look at them.
"""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

FRESH: Mapping[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "FIELD_KEYS": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "FINGERPRINT_KEY": lambda: secrets.token_urlsafe(50),
    "DEMO_API_KEY": lambda: f"vk_{secrets.token_urlsafe(32)}",
    "DEMO_OUTLET_API_KEY": lambda: f"vk_{secrets.token_urlsafe(32)}",
    "DEMO_MERCHANT_PASSWORD": lambda: secrets.token_urlsafe(12),
    "DEMO_SUPPORT_PASSWORD": lambda: secrets.token_urlsafe(12),
    "DEMO_SUPERUSER_PASSWORD": lambda: secrets.token_urlsafe(12),
}


def env_file(folder: Path) -> Path:
    """The file that the settings of this folder will read."""
    return Path(os.environ.get("ENV_FILE", folder / ".env"))


def write_if_missing(folder: Path, file: Path | None = None) -> bool:
    """Whether a new `.env`, or that file, was written; one that is there is never touched. Or OSError."""
    try:
        handle = os.open(file or folder / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as written:
        written.writelines(map(filled, (folder / ".env.example").read_text(encoding="utf-8").splitlines(keepends=True)))
    return True


def filled(line: str) -> str:
    """The line of the example, with a fresh value where it names a secret and leaves it empty."""
    name = line.removesuffix("\n").removesuffix("=")
    return f"{name}={FRESH[name]()}\n" if line == f"{name}=\n" and name in FRESH else line
