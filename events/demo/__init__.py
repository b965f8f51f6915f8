"""A shop that does not exist: its shelf, its shoppers and one of its days, written as Vrio would post them.

Before the corridor: `manage.py demo_day` plays it to the door. Pure, and the same for the same seed.
"""
