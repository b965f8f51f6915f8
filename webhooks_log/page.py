"""A page of our own inside the shell: the frame's context, and nothing that Django's admin would do to a list.

Every view of this floor answers through here.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
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
