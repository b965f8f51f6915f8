"""Encryption keys rotate: what was sealed under the old one is sealed under the new one, and the old one may go."""

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from connections import secrets
from connections.keys import new_hmac
from tests.webhooks_log.shop import connection, merchant, source

pytestmark = pytest.mark.django_db
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_after_rotating_the_old_key_may_go(settings):
    settings.FIELD_KEYS = [OLD]
    shop = merchant()
    one = connection(shop, sealed_key=secrets.seal("pk_0123456789abcdef"))
    signing, _ = new_hmac(source(shop), name="v2", header="X-Signature", clear="shared with Vrio")
    settings.FIELD_KEYS = [NEW, OLD]
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    assert "2 secrets" in out.getvalue()
    settings.FIELD_KEYS = [NEW]
    one.refresh_from_db()
    signing.refresh_from_db()
    assert secrets.unseal(one.sealed_key) == "pk_0123456789abcdef"
    assert secrets.unseal(signing.sealed_secret) == "shared with Vrio"


def test_what_nothing_opens_is_named_and_the_rest_is_done(settings):
    settings.FIELD_KEYS = [OLD]
    lost = connection(merchant(), sealed_key=secrets.seal("pk_0123456789abcdef"))
    settings.FIELD_KEYS = [NEW]
    kept = connection(merchant(), sealed_key=secrets.seal("pk_fedcba9876543210"))
    with pytest.raises(CommandError, match=f"connection {lost.pk}"):
        call_command("rotate_keys", stdout=StringIO())
    kept.refresh_from_db()
    assert secrets.unseal(kept.sealed_key) == "pk_fedcba9876543210"
