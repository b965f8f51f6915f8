"""Whose is it: which merchants a person may see, and what they may do there.

Every page, form, filter and answer of all floors asks here, so that one merchant can neither see nor touch another's.
"""

from typing import Literal, get_args

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, QuerySet
from django.http import Http404

from connections.models import Membership, Merchant

Permission = Literal["read", "send_again", "personal_data", "configure"]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
User = AbstractBaseUser | AnonymousUser

# The ways from a row to its merchant, in the order in which they are looked for.
_ROADS = (
    ("merchant", "merchant"),
    ("source", "source__merchant"),
    ("connection", "connection__merchant"),
    ("customer", "customer__merchant"),
    ("delivery", "delivery__merchant"),
    ("memberships", "memberships__merchant"),
    ("connections", "connections__merchant"),
)


def merchants_of(user: User) -> QuerySet[Merchant]:
    """The merchants this person may see: all for the platform's staff, else those with a place for them."""
    if not user.is_active:
        return Merchant.objects.none()
    if user.is_superuser:
        return Merchant.objects.all()
    return Merchant.objects.filter(pk__in=Membership.objects.filter(user_id=user.pk).values("merchant_id"))


def role_at(user: User, merchant: Merchant) -> str | None:
    """ "owner" or "support", None for a stranger. The platform's staff act as owners."""
    if not user.is_active:
        return None
    if user.is_superuser:
        return Membership.Role.OWNER
    return Membership.objects.filter(user_id=user.pk, merchant=merchant).values_list("role", flat=True).first()


def may(user: User, merchant: Merchant, permission: Permission) -> bool:
    """Whether this person may do this at this merchant. Raises ValueError for a permission that does not exist."""
    if permission not in PERMISSIONS:
        raise ValueError(f"There is no permission {permission!r}.")
    return merchants_where(user, permission).filter(pk=merchant.pk).exists()


def may_anywhere(user: User, permission: Permission) -> bool:
    """Whether there is any merchant at which this person may do this; asks the database once for each request."""
    if not user.is_active or user.is_superuser:
        return user.is_active
    return any(_allows(place, permission) for place in places_of(user))


def merchants_where(user: User, permission: Permission) -> QuerySet[Merchant]:
    """The merchants at which this person may do this."""
    if not user.is_active or user.is_superuser:
        return merchants_of(user)
    places = Membership.objects.filter(user_id=user.pk)
    if permission == "configure":
        places = places.filter(role=Membership.Role.OWNER)
    if permission == "personal_data":
        places = places.filter(sees_personal_data=True)
    return Merchant.objects.filter(pk__in=places.values("merchant_id"))


def merchants_allowing(user: User, permission: Permission) -> list[Merchant]:
    """The same as a list, by name, from the places that are read once for each request's user."""
    if not user.is_active or user.is_superuser:
        return list(merchants_of(user))
    return [place.merchant for place in places_of(user) if _allows(place, permission)]


def places_of(user: User) -> list[Membership]:
    """The person's places with their merchants, read once for each request's user; none for a stranger."""
    if not user.is_active:
        return []
    if not hasattr(user, "_places"):
        rows = Membership.objects.filter(user_id=user.pk).select_related("merchant").order_by("merchant__name")
        user._places = list(rows)
    return user._places


def chosen_merchants(user: User, slug: str) -> QuerySet[Merchant]:
    """The merchants a page shows: all of the person's, or the one its address names. Http404 for anybody else's."""
    own = merchants_of(user)
    if not slug:
        return own
    if not own.filter(slug=slug).exists():
        raise Http404
    return own.filter(slug=slug)


def own[M: Model](rows: QuerySet[M], user: User) -> QuerySet[M]:
    """Of these rows, those of the person's merchants. A model with no way to a merchant shows nothing."""
    if user.is_active and user.is_superuser:
        return rows
    road = merchant_road(rows.model)
    if road is None:
        return rows.none()
    mine = rows.filter(**{f"{road}__in": merchants_of(user)})
    return mine.distinct() if road in {"memberships__merchant", "connections__merchant"} else mine


def merchant_road(model: type[Model]) -> str | None:
    """The look-up that leads from a model to its merchant, or None."""
    if model is Merchant:
        return "pk"
    return next((road for field, road in _ROADS if _has(model, field)), None)


def merchant_of(row: Model) -> Merchant | None:
    """The merchant a row belongs to; None where a row belongs to several or to none."""
    if isinstance(row, Merchant):
        return row
    road = merchant_road(row._meta.model)
    if road is None or road.startswith(("memberships", "connections")):
        return None
    found: object = row
    for step in road.split("__"):
        found = getattr(found, step, None)
    return found if isinstance(found, Merchant) else None


def _allows(place: Membership, permission: Permission) -> bool:
    if permission == "configure":
        return place.role == Membership.Role.OWNER
    return place.sees_personal_data if permission == "personal_data" else True


def _has(model: type[Model], field: str) -> bool:
    try:
        model._meta.get_field(field)
    except FieldDoesNotExist:
        return False
    return True
