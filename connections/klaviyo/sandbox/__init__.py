"""A twin of Klaviyo's API on loopback, for the demo and the tests.

It stands outside the corridor, at its far end, and judges what arrives there: it shares no code with our client.
"""
