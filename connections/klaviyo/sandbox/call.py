"""One call whose key, revision, scope and limits were found good, with all it may touch.

Handed by the API to whoever reads or writes.
"""

from dataclasses import dataclass

from .answers import not_found
from .people import Profile
from .requests import Request
from .store import Account, Store
from .switches import Switches


@dataclass(slots=True)
class Call:
    """The request, its account, the revision that serves it, and the id at the end of its path, if any."""

    request: Request
    account: Account
    revision: str
    part: str
    store: Store
    switches: Switches

    @property
    def root(self) -> str:
        return self.request.root

    def person(self) -> Profile:
        """The profile named in the path. Raises Refused (404)."""
        if person := self.account.people.by_id.get(self.part):
            return person
        raise not_found(f"A profile with id {self.part} does not exist.")
