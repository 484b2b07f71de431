"""One package per engine, each a stranger to the others: requests and events mapped, no policy.

Nobody imports these by name. They are found through the entry-point group `orchestratord.adapters`, as a third party's
adapter is.
"""
