"""Spells accounts, lists, metrics, profiles and events as the JSON:API resources Klaviyo answers with.

Every link points back at the sandbox itself, so that following one never leaves loopback.
"""

from typing import Any

from .people import Profile, iso
from .store import Account, Recorded

Resource = dict[str, Any]
PROFILE_SHOWN = (
    "email",
    "phone_number",
    "external_id",
    "first_name",
    "last_name",
    "organization",
    "locale",
    "title",
    "image",
)
LISTS = {"Newsletter": "double_opt_in", "Preview List": "single_opt_in", "SMS Subscribers": "single_opt_in"}
_FOUNDED = "2024-03-01T09:00:00+00:00"
_PLACE = ("address1", "address2", "city", "country", "latitude", "longitude", "region", "zip", "timezone", "ip")


def account_resource(account: Account, root: str) -> Resource:
    attributes = {
        "test_account": True,
        "contact_information": {
            "default_sender_name": f"Sandbox Shop {account.cid}",
            "default_sender_email": "shop@klaviyo-demo.com",
            "website_url": "https://www.klaviyo-demo.com",
            "organization_name": f"Sandbox Shop {account.cid}",
            "street_address": {
                "address1": "125 Summer Street",
                "address2": "",
                "city": "Boston",
                "region": "MA",
                "country": "United States",
                "zip": "02110",
            },
        },
        "industry": "Ecommerce, Other",
        "timezone": "America/New_York",
        "preferred_currency": "USD",
        "public_api_key": account.cid,
        "locale": "en-US",
    }
    return _resource("account", account.cid, attributes, f"{root}/api/accounts/{account.cid}")


def list_resources(account: Account, root: str) -> list[Resource]:
    rows = []
    for name, opt_in in LISTS.items():
        attributes = {"name": name, "created": _FOUNDED, "updated": _FOUNDED, "opt_in_process": opt_in}
        list_id = account.metric_id(f"list {name}")
        rows.append(_resource("list", list_id, attributes, f"{root}/api/lists/{list_id}"))
    return rows


def metric_resource(account: Account, name: str, root: str) -> Resource:
    created = iso(account.metrics[name])
    attributes = {
        "name": name,
        "created": created,
        "updated": created,
        "integration": {"object": "integration", "id": "0eMvjm", "key": "api", "name": "API", "category": "API"},
    }
    metric_id = account.metric_id(name)
    return _resource("metric", metric_id, attributes, f"{root}/api/metrics/{metric_id}")


def profile_resource(profile: Profile, root: str) -> Resource:
    known = profile.attributes
    place = known.get("location") or {}
    attributes = {name: known.get(name) for name in PROFILE_SHOWN} | {
        "created": iso(profile.created_at),
        "updated": iso(profile.updated_at),
        "last_event_date": iso(profile.last_event_at),
        "location": {name: place.get(name) for name in _PLACE},
        "properties": known.get("properties") or {},
    }
    return _resource("profile", profile.id, attributes, f"{root}/api/profiles/{profile.id}")


def echoed_profile(profile: Profile, root: str) -> Resource:
    """What a write answers with: it is not done yet, so only the e-mail is shown."""
    whole = profile_resource(profile, root)
    for name in PROFILE_SHOWN[1:]:
        whole["attributes"][name] = None
    whole["attributes"] |= {"location": dict.fromkeys(_PLACE), "properties": {}}
    return whole


def event_resource(account: Account, row: Recorded, root: str) -> Resource:
    """`unique_id` and `value` come back as `$event_id` and `$value` among the properties.

    An event without value of a metric that ever had one shows 0.
    """
    properties = dict(row.attributes().get("properties") or {})
    if row.unique_id is not None:
        properties["$event_id"] = row.unique_id
    if row.value is not None or row.metric in account.valued_metrics:
        properties["$value"] = row.value or 0
    attributes = {
        "timestamp": int(row.time.timestamp()),
        "event_properties": properties,
        "datetime": row.time.isoformat(sep=" "),
        "uuid": f"{row.seq:08x}-0000-1000-8000-{int(row.recorded_at):012x}",
    }
    whole = _resource("event", row.id, attributes, f"{root}/api/events/{row.id}")
    whole["relationships"] = {
        "profile": {"data": {"type": "profile", "id": row.profile.id}},
        "metric": {"data": {"type": "metric", "id": account.metric_id(row.metric)}},
    }
    return whole


def _resource(kind: str, resource_id: str, attributes: dict[str, Any], link: str) -> Resource:
    return {
        "type": kind,
        "id": resource_id,
        "attributes": attributes,
        "relationships": {},
        "links": {"self": link},
    }
