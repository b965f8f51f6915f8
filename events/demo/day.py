"""One day of the demo shop: every event Vrio has a word for, and the troubles that support is asked about.

`manage.py demo_day` posts its scenes in the order in which they happened.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from events.demo.pen import PHONE, WEB, Pen, Scene
from events.demo.records import Record, abandoned, customer, local, order_offer
from events.demo.shop import DOMAIN, ONCE, SUBSCRIPTIONS

OUTLET, WHOLESALE = ("21", "Outlet"), ("22", "Wholesale")
ROUNDS, SHORT_ROUNDS = 14, 2
PHONE_POINTER = "/data/attributes/profile/data/attributes/phone_number"
PHONE_REFUSAL = "Invalid phone number format (Example of a valid format: +12345678901)"


def shop_day(seed: int, now: datetime, *, short: bool = False, outlet_account: str) -> list[Scene]:
    """The day's scenes in their order, all before `now`; `outlet_account` is where the sandbox makes trouble.

    The same seed in the same half day gives the same scenes to the byte.
    """
    writer = Writer(seed, now)
    for _ in range(SHORT_ROUNDS if short else ROUNDS):
        writer.a_round()
    writer.curiosities()
    writer.the_outlet(outlet_account)
    return sorted(writer.scenes, key=lambda scene: scene.at)


class Writer(Pen):
    """Knows the stories: what shoppers do all day, what happens once, and the outlet's bad day at Klaviyo."""

    def a_round(self) -> None:
        """A dozen shoppers who do all the ordinary things, each at a time of their own."""
        for story in (
            self.subscribes,
            self.subscribes_and_more,
            self.buys_once,
            self.renews,
            self.renews,
            self.authorises_first,
            self.is_declined,
            self.sends_back,
            self.regrets,
            self.leaves_basket,
            self.pauses,
            self.cancels,
        ):
            story()

    # Ordinary shoppers

    def subscribes(self) -> None:
        at, who = self.opens()
        self.post("A new customer", "customer", "customer_created", at, customer(who, at))
        bought = self.basket(who, [self.chance.choice(SUBSCRIPTIONS)], code=self.chance.choice(("", "SAVE10")))
        paid = self.sale("Subscribes", bought, at + timedelta(minutes=4))
        self.ship(bought, paid, at + timedelta(hours=2))

    def subscribes_and_more(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [SUBSCRIPTIONS[0], self.chance.choice(ONCE)], quantity=2)
        paid = self.sale("Subscribes and adds something", bought, at, kind="Capture")
        self.ship(bought, paid, at + timedelta(hours=3))

    def buys_once(self) -> None:
        at, who = self.opens()
        campaign = self.chance.choice((WEB, PHONE))
        bought = self.basket(who, self.chance.sample(ONCE, self.chance.randint(1, 3)), campaign=campaign)
        self.sale("Buys once", bought, at)

    def renews(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [self.chance.choice(SUBSCRIPTIONS)])
        self.sale("Pays the next cycle", bought, at, cycle=self.chance.randint(2, 9))

    def authorises_first(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [self.chance.choice(SUBSCRIPTIONS)])
        self.sale("Card is authorised", bought, at, kind="Auth")
        self.sale("… and captured", bought, at + timedelta(minutes=30), kind="Capture")

    def is_declined(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [SUBSCRIPTIONS[0]])
        refusal = {
            "transaction_declined": "DECLINED",
            "gateway_response_code": "200",
            "gateway_response_description": self.chance.choice(("Insufficient funds", "Do not honor", "Expired card")),
        }
        self.sale("Card is declined", bought, at, **refusal)
        self.sale("… and works at the second try", bought, at + timedelta(minutes=15), attempt=2)

    def sends_back(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [self.chance.choice(ONCE), ONCE[0]])
        paid = self.sale("Buys", bought, at)
        part = replace(bought, lines=bought.lines[:1])
        self.sale("… and is refunded a part", part, at + timedelta(hours=1), "Refund", transaction_parent_id=paid)
        self.later(bought, at + timedelta(hours=2))

    def regrets(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [self.chance.choice(ONCE)])
        paid = self.sale("Buys", bought, at)
        self.sale("… and it is voided", bought, at + timedelta(minutes=9), "Void", transaction_parent_id=paid)

    def leaves_basket(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [self.chance.choice(SUBSCRIPTIONS), self.chance.choice(ONCE)])
        word = self.chance.choice(("order_abandoned", "order_abandonned"))
        self.post("Leaves a basket behind", "order", word, at, abandoned(bought, at))

    def pauses(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [self.chance.choice(SUBSCRIPTIONS)])
        self.sale("Subscribes", bought, at)
        self.status("… pauses", bought, at + timedelta(minutes=40), "Paused", "date_pause")
        self.status("… and goes on", bought, at + timedelta(hours=2), "Active", "date_unpause")

    def cancels(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [self.chance.choice(SUBSCRIPTIONS)])
        self.sale("Subscribes", bought, at)
        gone = at + timedelta(hours=1)
        record = order_offer(bought, gone, "Cancelled", date_cancel=local(gone), cancel_type_name="Too expensive")
        self.post("… cancels", "order_offer", "order_offer_cancelled", gone, record)
        self.status("… and comes back", bought, gone + timedelta(hours=1), "Active", "date_reactivate")

    # Once a day: what support is asked about

    def curiosities(self) -> None:
        self.disputes()
        self.has_no_email()
        self.has_a_refused_phone()
        self.tests_the_shop()
        self.is_not_known_yet()
        self.says_what_we_do_not_know()
        self.is_posted_twice()

    def disputes(self) -> None:
        at, who = self.opens()
        bought = self.basket(who, [SUBSCRIPTIONS[3]])
        paid = self.sale("Buys", bought, at)
        self.sale("… a fraud alert", bought, at + timedelta(hours=1), "Alert", transaction_parent_id=paid)
        case = {"chargeback_code": "4837", "chargeback_case_id": f"CB-{paid}", "transaction_parent_id": paid}
        told = at + timedelta(hours=2)
        self.sale("… and a chargeback", bought, told, "Chargeback", chargeback_date=local(told), **case)

    def has_no_email(self) -> None:
        at, who = self.opens()
        self.sale("A phone order without an e-mail", self.basket(replace(who, email=""), [ONCE[1]], PHONE), at)

    def has_a_refused_phone(self) -> None:
        at, who = self.opens()
        who = replace(who, email=f"refused.phone{self.next()}@{DOMAIN}", phone="(207) 555-0148")
        refusal = {"status": 400, "code": "invalid", "detail": PHONE_REFUSAL, "pointer": PHONE_POINTER}
        bought = self.basket(who, [SUBSCRIPTIONS[0]])
        self.sale("Klaviyo refuses a phone number", bought, at, faults=[{"count": 1, "email": who.email, **refusal}])

    def tests_the_shop(self) -> None:
        at, who = self.opens()
        self.sale("A test order", replace(self.basket(who, [ONCE[0]]), is_test=True), at)

    def is_not_known_yet(self) -> None:
        at, who = self.opens()
        bought = self.basket(replace(who, customer_id=f"9{self.next()}"), [ONCE[3]])
        self.ship(bought, self.next(), at, "A parcel for somebody we never heard of")

    def says_what_we_do_not_know(self) -> None:
        at, who = self.opens()
        record = {"id": self.next(), "customer_id": who.customer_id}
        self.post("An event of a kind nobody knows", "order", "order_gift_wrapped", at, record)

    def is_posted_twice(self) -> None:
        at, who = self.opens()
        self.sale("Vrio posts a sale twice", self.basket(who, [ONCE[2]]), at, times=2)

    # The outlet: a lane of its own, in which Klaviyo has a bad day

    def the_outlet(self, account: str) -> None:
        burst = {"count": 2, "status": 429, "retry_after": 2, "account": account}
        outage = {"count": 4, "status": 503, "account": account}
        self.outlet_sale("A burst that Klaviyo throttles", OUTLET, 6, [burst])
        self.outlet_sale("A wholesale order, which the filter excludes", WHOLESALE, 2)
        self.outlet_sale("Klaviyo is away for a moment", OUTLET, 3, [outage])

    def outlet_sale(self, title: str, campaign: tuple[str, str], count: int, faults: Sequence[Record] = ()) -> None:
        at, _ = self.opens()
        for each in range(count):
            bought = self.basket(self.stranger(600_000), [self.chance.choice(ONCE)], campaign)
            moment = at + timedelta(seconds=each)
            self.sale(title, bought, moment, is_outlet=True, faults=faults if each == 0 else ())
