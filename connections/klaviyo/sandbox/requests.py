"""One HTTP request as it came, byte for byte, and the little that is read from it.

Made by the server; judged by the API, matched by faults, kept by the journal.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Request:
    """A request: `head` is everything before the blank line as received, header names in lower case in `headers`."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    head: bytes
    arrived_at: float
    arrived_at_monotonic: float

    @property
    def path(self) -> str:
        """Without query and without the trailing slash, which Klaviyo takes or leaves."""
        return self.target.partition("?")[0].rstrip("/") or "/"

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def key(self) -> str:
        """The credential after the scheme, whatever the scheme."""
        return self.headers.get("authorization", "").partition(" ")[2].strip()

    @property
    def root(self) -> str:
        return f"http://{self.headers.get('host', '127.0.0.1')}"

    def content(self) -> Any:
        """The body as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def header_lines(self) -> list[tuple[str, str]]:
        """Every header as it came: spelling, order, repeats."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return [(name, value.strip()) for name, _, value in pairs if name]
