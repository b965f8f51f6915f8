"""Looks through every tracked file for what must never be committed: private keys, tokens, a filled-in `.env`.

The sandbox's own keys are no secrets: they say so in clear, and those of tests count up. Everything else that has the
shape of a key is one until somebody proves otherwise.
"""

import re
import subprocess
import sys
from pathlib import Path

SHAPES = {
    "a Klaviyo private key": re.compile(r"\bpk_(?:[0-9a-zA-Z]{6}_)?[0-9a-f]{30,}"),
    "a private key file": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an AWS key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[0-9A-Za-z]{36}"),
    "a Slack token or hook": re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,}|hooks\.slack\.com/services/T[0-9A-Z]{8,}/"),
    "a password in an address": re.compile(r"\b(?:postgres(?:ql)?|redis|smtps?)://[^\s:/@]+:[^\s:/@{$<]{8,}@"),
}
HARMLESS = re.compile(r"demo|sandbox|example|test|0123456789abcdef", re.IGNORECASE)
FORBIDDEN = re.compile(r"(^|/)(\.env|.*\.sqlite3|.*\.pem|id_rsa)$")


def main() -> int:
    names = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    found = [finding for name in names.split("\0") if name and Path(name).is_file() for finding in findings_in(name)]
    print("\n".join(found) if found else "No secret found in the tracked files.")
    return 1 if found else 0


def findings_in(name: str) -> list[str]:
    if FORBIDDEN.search(name):
        return [f"{name}: a file of this kind is never committed"]
    text = Path(name).read_text(encoding="utf-8", errors="replace")
    return [
        f"{name}:{number}: looks like {what}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, shape in SHAPES.items()
        if (match := shape.search(line)) and not HARMLESS.search(match.group())
    ]


if __name__ == "__main__":
    sys.exit(main())
