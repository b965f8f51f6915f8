"""A forgotten password: asked for by e-mail address, chosen anew by the link in the mail. Django's steps, our frame.

Outside the shell, for somebody who cannot sign in.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth import views


class _Framed:
    """With the shell's colours and icon, which its templates expect from the page."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        told = super().get_context_data(**kwargs)  # type: ignore[misc]
        return {**admin.site.each_context(self.request), **told}  # type: ignore[attr-defined]


class Asked(_Framed, views.PasswordResetView):
    pass


class Sent(_Framed, views.PasswordResetDoneView):
    pass


class Chosen(_Framed, views.PasswordResetConfirmView):
    pass


class Saved(_Framed, views.PasswordResetCompleteView):
    pass
