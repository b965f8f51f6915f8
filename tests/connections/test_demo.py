"""The demo shop's people, keys and connections: created once, left alone afterwards."""

from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.exceptions import ImproperlyConfigured

from connections import demo
from connections.models import ApiKey, Connection, Membership, Merchant
from connections.secrets import unseal

SECRETS = {
    "DEMO_API_KEY": "vk_first",
    "DEMO_OUTLET_API_KEY": "vk_second",
    "DEMO_MERCHANT_PASSWORD": "one",
    "DEMO_SUPPORT_PASSWORD": "two",
    "DEMO_SUPERUSER_PASSWORD": "three",
}


@pytest.fixture(autouse=True)
def env(settings: Any, db: None) -> Any:
    for name, value in SECRETS.items():
        setattr(settings, name, value)
    return settings


def test_the_three_people_have_their_places() -> None:
    demo.set_up()
    places = Membership.objects.values_list("user__username", "merchant__slug", "role")
    assert sorted(places) == [
        ("merchant", "harbor-vitamins", "owner"),
        ("support", "harbor-outlet", "support"),
        ("support", "harbor-vitamins", "support"),
    ]
    assert get_user_model().objects.get(username="superuser").is_superuser


def test_a_second_set_up_changes_nothing() -> None:
    demo.set_up()
    Connection.objects.filter(name="Klaviyo").update(push_events=False)
    demo.set_up()
    assert (Merchant.objects.count(), Connection.objects.count(), ApiKey.objects.count()) == (2, 2, 2)
    assert not Connection.objects.get(name="Klaviyo").push_events


def test_the_shop_sends_every_campaign_and_the_outlet_only_its_own() -> None:
    demo.set_up()
    assert not Connection.objects.get(name="Klaviyo").campaigns.exists()
    assert [c.vrio_id for c in Connection.objects.get(name="Klaviyo Outlet").campaigns.all()] == ["21"]


def test_a_new_env_file_gives_new_passwords_and_keys_and_revokes_the_old_key(env: Any, rf: Any) -> None:
    demo.set_up()
    env.DEMO_MERCHANT_PASSWORD, env.DEMO_API_KEY = "another", "vk_third"
    demo.set_up()
    assert get_user_model().objects.get(username="merchant").check_password("another")
    assert authenticate(request=rf.post("/"), username="merchant", password="one") is None
    assert ApiKey.objects.filter(source__merchant__slug="harbor-vitamins", revoked_at=None).get().hint == "hird"


def test_a_lost_field_key_is_mended_for_the_sandbox(env: Any) -> None:
    demo.set_up()
    env.FIELD_KEYS = ["bmV3LWtleS1mb3ItdGVzdHMtb25seS1uZXcta2V5ISE="]
    demo.set_up()
    assert unseal(bytes(Connection.objects.get(name="Klaviyo").sealed_key)).startswith("pk_Sandbox")


def test_without_its_secrets_it_names_the_first_one_missing(env: Any) -> None:
    env.DEMO_API_KEY = ""
    with pytest.raises(ImproperlyConfigured, match="DEMO_API_KEY is not set"):
        demo.set_up()
