"""The names under which Klaviyo hears from us, for the filter of the Webhooks tab."""

METRICS = (
    "Placed Order",
    "Placed Non-Recurring Order",
    "Ordered Product",
    "Started Subscription",
    "Declined Order",
    "Refunded Order",
    "Voided Order",
    "Order Chargeback",
    "Order Alert",
    "Order Auth",
    "Fulfilled Order",
    "Abandoned Order",
    "Cancelled Subscription",
    "Paused Subscription",
    "Unpaused Subscription",
    "Reactivated Subscription",
)
