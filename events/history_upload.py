"""An owner brings the shop's orders of before: a file of Vrio's is taken in as history, and nothing of it is sent.

From the first-run checklist and *Receive from Vrio*; the same code as `manage.py ingest --history`, with bounds.
"""

from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from connections import audit
from connections.models import Source
from connections.page import page
from connections.tenancy import chosen_merchants, may_anywhere, merchants_where
from events.files import BROKEN, Taken, finish, origin_of, take_in
from events.strict_json import NotStrict

MOST_BYTES = 25_000_000
MOST_UNPACKED = 50_000_000
NAMED = 20  # refusals that the page spells out
PROOF = "upload"


class SourceChoice(forms.ModelChoiceField):
    def label_from_instance(self, source: Source) -> str:
        return f"{source.merchant}: {source}"


class HistoryForm(forms.Form):
    """The file, and which source of Vrio's it comes from: identities belong to a source."""

    source = SourceChoice(Source.objects.none(), empty_label=None)
    file = forms.FileField(
        label="Vrio's records",
        help_text=f"JSON, as a list or one record a line, gzipped or not; up to {MOST_BYTES // 1_000_000} MB.",
        widget=forms.FileInput(attrs={"accept": ".json,.ndjson,.jsonl,.gz"}),
    )

    def __init__(self, *args: Any, sources: QuerySet[Source], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["source"].queryset = sources

    def clean_file(self) -> Any:
        upload = self.cleaned_data["file"]
        if upload.size > MOST_BYTES:
            raise ValidationError(f"The file has more than {MOST_BYTES // 1_000_000} MB. Split it, or compress it.")
        return upload


@dataclass(slots=True)
class Outcome:
    """What became of the file; `trouble` is why the rest of it could not be read."""

    taken: Taken = field(default_factory=Taken)
    trouble: str = ""

    @property
    def is_whole(self) -> bool:
        return not self.trouble and self.taken.is_whole

    @property
    def named(self) -> list[tuple[int, str]]:
        return self.taken.refused[:NAMED]

    @property
    def unnamed(self) -> int:
        return len(self.taken.refused) - len(self.named)


@require_http_methods(["GET", "POST"])
def import_history(request: HttpRequest) -> HttpResponse:
    """The form, and under it what became of the file; the same file again changes nothing."""
    if not may_anywhere(request.user, "configure"):
        raise PermissionDenied
    chosen = request.GET.get("merchant", "")
    merchants = merchants_where(request.user, "configure").filter(pk__in=chosen_merchants(request.user, chosen))
    sources = Source.objects.filter(merchant__in=merchants, archived_at=None).select_related("merchant")
    form = HistoryForm(request.POST or None, request.FILES or None, sources=sources)
    outcome = None
    if request.method == "POST" and form.is_valid():
        outcome = take_in_history(form.cleaned_data["source"], form.cleaned_data["file"])
        told = {"new": (None, outcome.taken.new), "refused": (None, len(outcome.taken.refused))}
        audit.record(request.user, "imported history", form.cleaned_data["source"], told)
    return page(
        request,
        "history_import.html",
        title="Import history",
        form=form,
        sources=sources,
        imported=sources.exclude(history_imported_at=None),
        outcome=outcome,
        chosen=chosen,
    )


def take_in_history(source: Source, file: Any) -> Outcome:
    """Take the file in as far as it can be read. Each block is committed, so what came in stays in."""
    origin, outcome = origin_of(source, PROOF, history=True), Outcome()
    try:
        for block in take_in(file, origin, most=MOST_UNPACKED):
            outcome.taken.add(block)
    except NotStrict as wrong:
        outcome.trouble = wrong.detail
    except BROKEN:
        outcome.trouble = "The file breaks off: it was not copied whole."
    if not outcome.trouble:
        finish(source, origin, outcome.taken)
    return outcome
