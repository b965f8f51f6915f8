"""The forms of a page as a browser would send them, for tests that try every field of every one."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

from django.urls import Resolver404, resolve

EMPTY = ("submit", "button", "file", "image", "reset")
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass
class Form:
    """Where it goes, and what every field says as the page came; unchosen ones are there with an empty list."""

    method: str
    path: str
    values: dict[str, list[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the address it goes to."""
        try:
            return resolve(self.path.partition("?")[0]).url_name or ""
        except Resolver404:
            return ""

    def request(self, changed: str, value: str) -> tuple[str, str, bytes | str, str]:
        """Method, address, body and its type, with one field changed: what Django's test client takes."""
        told = urlencode({**self.values, changed: [value]}, doseq=True)
        if self.method == "get":
            return "GET", f"{self.path.partition('?')[0]}?{told}", "", FORM_TYPE
        return "POST", self.path, told, FORM_TYPE


class _Reader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address, self.forms, self.select, self.area = address, [], "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self.address, told.get("action") or self.address)
            self.forms.append(Form(told.get("method", "get").lower(), action))
        elif self.forms and (name := told.get("name")):
            self.note(tag, name, told)
        elif tag == "option" and self.select and "selected" in told:
            self.forms[-1].values[self.select].append(told.get("value", ""))

    def note(self, tag: str, name: str, told: dict[str, str]) -> None:
        values = self.forms[-1].values.setdefault(name, [])
        kind = told.get("type", "text" if tag == "input" else "")
        self.select = name if tag == "select" else ""
        self.area = name if tag == "textarea" else ""
        is_given = "checked" in told if kind in ("checkbox", "radio") else tag == "input" and kind not in EMPTY
        if is_given or (tag == "button" and not values):
            values.append(told.get("value", "on"))

    def handle_data(self, data: str) -> None:
        if self.area and data.strip():
            self.forms[-1].values[self.area].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self.select = self.area = ""


def forms_of(html: str, address: str) -> list[Form]:
    """Every form of the page at this address that goes to one of ours."""
    reader = _Reader(address)
    reader.feed(html)
    return [form for form in reader.forms if form.path.startswith("/app/")]
