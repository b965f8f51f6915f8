"""Writes a CycloneDX list of everything that Viaduct runs on, read from the lock file and from nothing else.

    python .ci/write_sbom.py [requirements/run.txt]

To standard output; the same lock file gives the same list, to the byte.
"""

import json
import re
import sys
import uuid
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^\s;\\]+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main() -> int:
    lock = Path(sys.argv[1] if len(sys.argv) > 1 else "requirements/run.txt").read_text(encoding="utf-8")
    project = dict(re.findall(r'^(name|version) = "(.*)"$', Path("pyproject.toml").read_text(), re.MULTILINE))
    print(json.dumps(written(lock, project), indent=2))
    return 0


def written(lock: str, project: dict[str, str]) -> dict[str, object]:
    starts = [*PIN.finditer(lock)]
    ends = [*(found.start() for found in starts[1:]), len(lock)]
    parts = [part(found, lock[found.end() : end]) for found, end in zip(starts, ends, strict=True)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, lock)}",
        "version": 1,
        "metadata": {"component": {"type": "application", **project}},
        "components": parts,
    }


def part(found: re.Match[str], rest: str) -> dict[str, object]:
    name, version = found[1].lower().replace("_", "-"), found[2]
    hashes = [{"alg": "SHA-256", "content": digest} for digest in HASH.findall(rest)]
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": hashes}


if __name__ == "__main__":
    sys.exit(main())
