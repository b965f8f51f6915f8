"""Who may sign in: everyone with a place at some merchant, and the platform's staff.

The shell's first page.
"""

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

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

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        if not user.is_active:
            raise ValidationError(self.error_messages["inactive"], code="inactive")
        if not (user.is_staff or merchants_of(user).exists()):
            raise ValidationError("You have no place at a merchant any more. Ask an owner to invite you again.")
