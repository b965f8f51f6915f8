"""Who may sign in: everyone with a place at some merchant, and the platform's staff.

The shell's first page.
"""

from typing import Any

from axes.models import AccessLog
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from connections import brakes
from connections.remote import remote_address, remote_network
from connections.tenancy import merchants_of


class LoginForm(AuthenticationForm):
    """Django's admin would ask for staff; here a place at a merchant is enough."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail address or username"

    def clean_username(self) -> str:
        """Addresses are kept in lower case."""
        name = self.cleaned_data["username"].strip()
        return name.lower() if "@" in name else name

    def clean(self) -> dict[str, Any]:
        """Guessing is slowed by where it comes from and by whom it is about; axes does so for the two together.

        Nobody is shut out by their name alone: where they have signed in before, only their own mistakes count.
        """
        name, place = self.cleaned_data.get("username", ""), remote_network(self.request)
        if brakes.is_pulled(brakes.SIGN_IN_FROM, place) or (
            brakes.is_pulled(brakes.SIGN_IN_AS, name) and not self._was_here_before(name)
        ):
            raise ValidationError("Too many wrong passwords. Please wait a quarter of an hour.")
        try:
            return super().clean()
        except ValidationError:
            brakes.note(brakes.SIGN_IN_FROM, place)
            brakes.note(brakes.SIGN_IN_AS, name)
            raise

    def _was_here_before(self, name: str) -> bool:
        return AccessLog.objects.filter(username=name, ip_address=remote_address(self.request)).exists()

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        if not user.is_active:
            raise ValidationError(self.error_messages["inactive"], code="inactive")
        if not (user.is_staff or merchants_of(user).exists()):
            raise ValidationError("You have no place at a merchant any more. Ask an owner to invite you again.")
