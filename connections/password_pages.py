"""A forgotten password: asked for by e-mail address, chosen anew by the link in the mail. Django's steps, our frame.

Outside the shell, for somebody who cannot sign in.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth import views
from django.http import HttpResponse, HttpResponseRedirect

from connections import brakes
from connections.remote import remote_network


class _Framed:
    """With the shell's colours and icon, which its templates expect from the page."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        told = super().get_context_data(**kwargs)  # type: ignore[misc]
        return {**admin.site.each_context(self.request), **told}  # type: ignore[attr-defined]


class Asked(_Framed, views.PasswordResetView):
    def form_valid(self, form: Any) -> HttpResponse:
        """Whoever asks too often gets the same answer and no mail: neither do mailboxes fill nor accounts show."""
        asked = ((brakes.PASSWORD_MAIL_TO, form.cleaned_data["email"]), (brakes.PASSWORD_MAIL_FROM, self._place()))
        if any(brakes.is_pulled(brake, who) for brake, who in asked):
            return HttpResponseRedirect(self.get_success_url())
        for brake, who in asked:
            brakes.note(brake, who)
        return super().form_valid(form)

    def _place(self) -> str:
        return remote_network(self.request)


class Sent(_Framed, views.PasswordResetDoneView):
    pass


class Chosen(_Framed, views.PasswordResetConfirmView):
    pass


class Saved(_Framed, views.PasswordResetCompleteView):
    pass
