"""One address, one view per method: everything else is told what it may ask.

Between the addresses and the door's views, which are plain functions; `described` lets the schema see them too.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from events.problems import Problem, problem_response

type View = Callable[..., HttpResponse]


def by_method(**views: View) -> View:
    """A view that hands GET to `GET=…`, POST to `POST=…`, and answers 405 to the rest."""
    allowed = ", ".join(sorted(views))

    @csrf_exempt
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        chosen = views.get(request.method or "")
        if chosen is None:
            detail = f"This address knows {allowed} only."
            return problem_response(Problem(405, "method_not_allowed", detail, Allow=allowed))
        return chosen(request, *args, **kwargs)

    told = {method.lower(): view.described for method, view in views.items() if hasattr(view, "described")}
    if told:
        view.cls = type("Described", (APIView,), told | {"permission_classes": [AllowAny]})
        view.initkwargs = {}
    return view


def described(**words: Any) -> Callable[[View], View]:
    """What the OpenAPI document says of a view; the words of drf-spectacular's `extend_schema`."""

    def describing(view: View) -> View:
        def stands_for(self: APIView, request: HttpRequest, **kwargs: Any) -> None: ...

        view.described = extend_schema(**words)(stands_for)
        return view

    return describing
