"""Who works at a merchant: invited by an owner, given a place, and sent away again.

Beside the corridor. An invitation is a random token of which only the keyed hash is kept; whoever proves to read that
mailbox gets the place.
"""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from connections import audit, secrets
from connections.models import Invitation, Membership, Merchant

PURPOSE = "invitation"
VALID_FOR = timedelta(days=7)
Role = Membership.Role


class LastOwner(ValidationError):
    """A merchant without an owner could never be configured again."""

    def __init__(self) -> None:
        super().__init__("A merchant needs an owner. Make somebody else an owner first.")


@sensitive_variables("token")
def invite(
    merchant: Merchant, email: str, role: str, by: AbstractBaseUser, now: datetime | None = None
) -> tuple[Invitation, str]:
    """An open invitation and its token, which is never seen again. An older one to the same address is replaced.

    Raises ValidationError when the person has a place already.
    """
    email = email.strip().lower()
    if merchant.memberships.filter(_is_called(email)).exists():
        raise ValidationError(f"{email} has a place already.")
    now, token = now or timezone.now(), secrets.new_token("vi")
    with transaction.atomic():
        merchant.invitations.filter(email=email, accepted_at=None).delete()
        invitation = merchant.invitations.create(
            email=email,
            role=role,
            token_digest=secrets.fingerprint(token, PURPOSE),
            invited_by=by,
            created_at=now,
            expires_at=now + VALID_FOR,
        )
        audit.record(by, "invited", invitation, {"role": (None, role)})
    return invitation, token


@sensitive_variables()
def open_invitation(token: str, now: datetime | None = None) -> Invitation | None:
    """The invitation of this token, unless it was used, withdrawn, or has run out."""
    rows = Invitation.objects.select_related("merchant").filter(accepted_at=None, expires_at__gt=now or timezone.now())
    return rows.filter(token_digest=secrets.fingerprint(token, PURPOSE)).first()


def account_for(invitation: Invitation) -> AbstractBaseUser | None:
    """The account that reads this mailbox, if there is one."""
    users = get_user_model().objects.filter(Q(email__iexact=invitation.email) | Q(username=invitation.email))
    return users.order_by("pk").first()


@sensitive_variables("password")
def accept(invitation: Invitation, *, password: str = "", first_name: str = "", last_name: str = "") -> Any:
    """Give the place to the invited person, making their account if there is none; returns the account."""
    with transaction.atomic():
        # One winner of two clicks: who finds it open, closes it.
        if not Invitation.objects.filter(pk=invitation.pk, accepted_at=None).update(accepted_at=timezone.now()):
            raise ValidationError("This invitation has been used.")
        user = account_for(invitation) or get_user_model().objects.create_user(
            invitation.email, invitation.email, password, first_name=first_name, last_name=last_name
        )
        place, _ = Membership.objects.get_or_create(
            user=user, merchant=invitation.merchant, defaults={"role": invitation.role}
        )
        audit.record(user, "accepted the invitation", place)
    return user


def change_place(place: Membership, *, role: str, sees_personal_data: bool, by: AbstractBaseUser) -> None:
    """Give a person another role or another view of personal data; raises LastOwner."""
    changes = audit.differences(
        {"role": place.role, "sees personal data": place.sees_personal_data},
        {"role": role, "sees personal data": sees_personal_data},
    )
    with transaction.atomic():
        _keep_an_owner(place, role)
        place.role, place.sees_personal_data = role, sees_personal_data
        place.save(update_fields=("role", "sees_personal_data"))
        if changes:
            audit.record(by, "changed a place", place, changes)


def send_away(place: Membership, by: AbstractBaseUser) -> None:
    """Take a person's place; their account stays, since they may have others. Raises LastOwner."""
    with transaction.atomic():
        _keep_an_owner(place, "")
        audit.record(by, "took a place away", place)
        place.delete()


def withdraw(invitation: Invitation, by: AbstractBaseUser) -> None:
    """Close an invitation that has not been accepted."""
    audit.record(by, "withdrew an invitation", invitation)
    invitation.delete()


def _keep_an_owner(place: Membership, role: str) -> None:
    # The merchant's row is the lock: two owners who demote each other at once are taken in turn.
    Merchant.objects.select_for_update().get(pk=place.merchant_id)
    others = Membership.objects.filter(merchant=place.merchant_id, role=Role.OWNER, user__is_active=True)
    if place.role == Role.OWNER and role != Role.OWNER and not others.exclude(pk=place.pk).exists():
        raise LastOwner


def _is_called(email: str) -> Q:
    return Q(user__email__iexact=email) | Q(user__username=email)
