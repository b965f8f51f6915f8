"""A page of our own inside the shell: the frame's context, and nothing that Django's admin would do to a list.

Every view of this floor answers through here.
"""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse


def page(request: HttpRequest, template: str, *, title: str, **context: Any) -> TemplateResponse:
    """The template in the shell's frame; `title` heads it."""
    request.current_app = admin.site.name  # type: ignore[attr-defined]
    frame = admin.site.each_context(request)
    return TemplateResponse(
        request,
        f"webhooks_log/{template}",
        {**frame, "title": title, "exact_title": title, "is_fullwidth": "1", **context},
    )


def fragment(request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
    """A piece of a page, without the frame, for the script that asked for it."""
    return TemplateResponse(request, f"webhooks_log/{template}", context)


def told(request: HttpRequest, sentence: str, href: str, *, is_good: bool = True) -> HttpResponse:
    """What a button did, in a sentence: for the script in place, without it on the page at `href`."""
    if request.headers.get("X-Requested-With") == "fetch":
        return JsonResponse({"sentence": sentence, "tone": "good" if is_good else "warn"})
    messages.add_message(request, messages.SUCCESS if is_good else messages.WARNING, sentence)
    return HttpResponseRedirect(href)
