"""Asks the public advisory database about every pinned package; what could not be looked up is called NOT AUDITED.

Exit status 1 only for a known weakness: a machine without a way out must still be able to lint, but never silently.
"""

import json
import subprocess
import sys
from typing import Any

COMMAND = ["pip_audit", "--require-hashes", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
OPTIONS = ["--timeout", "15", "--format", "json"]


def main() -> int:
    weak = 0
    for lock in ("requirements/run.txt", "requirements/dev.txt"):
        answer = subprocess.run(
            [sys.executable, "-m", *COMMAND, *OPTIONS, "-r", lock], capture_output=True, text=True, check=False
        )
        weak += report(lock, packages_in(answer.stdout), answer.stderr)
    return 1 if weak else 0


def packages_in(output: str) -> list[dict[str, Any]]:
    try:
        return list(json.loads(output)["dependencies"])
    except (ValueError, KeyError):
        return []


def report(lock: str, packages: list[dict[str, Any]], complaint: str) -> int:
    """The number of packages with a known weakness, after saying what was found and what was not looked at."""
    if not packages:
        print(f"NOT AUDITED: {lock}: {(complaint.strip().splitlines() or ['no answer'])[-1][:200]}")
        return 0
    unseen = [package["name"] for package in packages if "skip_reason" in package]
    weak = [package for package in packages if package.get("vulns")]
    for package in weak:
        print(f"{lock}: {package['name']} {package['version']}: {', '.join(v['id'] for v in package['vulns'])}")
    if unseen:
        print(f"NOT AUDITED: {len(unseen)} of {len(packages)} packages of {lock} could not be looked up.")
    else:
        print(f"{lock}: {len(packages)} packages audited, {len(weak)} with a known weakness.")
    return len(weak)


if __name__ == "__main__":
    sys.exit(main())
