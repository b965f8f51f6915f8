"""A page of our own in the shell's frame.

Every view of this floor answers through here.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse


def page(request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any) -> TemplateResponse:
    """The template `connections/<template>` in the frame; `title` heads it."""
    request.current_app = admin.site.name  # type: ignore[attr-defined]
    frame = admin.site.each_context(request)
    context = {**frame, "title": title, **context}
    return TemplateResponse(request, f"connections/{template}", context, status=status)
