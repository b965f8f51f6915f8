"""Make the benchmark's source, keys, connection and bare table; print what the load generator needs, as JSON."""

import json
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection  # noqa: E402

from connections import keys, secrets  # noqa: E402
from connections.klaviyo.sandbox.accounts import key_for  # noqa: E402
from connections.models import Connection, KlaviyoAccount, Merchant, Source  # noqa: E402

TABLE = {
    "postgresql": "CREATE TABLE bench_floor (id bigserial PRIMARY KEY, received_at timestamptz, body bytea)",
    "sqlite": "CREATE TABLE bench_floor (id integer PRIMARY KEY, received_at text, body blob)",
}

if __name__ == "__main__":
    merchant = Merchant.objects.create(name="Bench", slug="bench")
    source = Source.objects.create(merchant=merchant, name="Vrio", dialect="v2")
    bearer = keys.new_bearer(source, name="bench")[1]
    address = keys.new_address(source, name="bench")[1]
    signing, secret = keys.new_hmac(source, name="bench", header="X-Signature")
    account, _ = KlaviyoAccount.objects.get_or_create(cid="Bench1")
    sealed = secrets.seal(key_for("Bench1"))
    Connection.objects.create(merchant=merchant, account=account, name="Klaviyo", sealed_key=sealed, state="connected")
    with connection.cursor() as cursor:
        cursor.execute(TABLE[connection.vendor])
    print(json.dumps({"bearer": bearer, "address": address, "secret": secret, "public_id": signing.public_id}))
