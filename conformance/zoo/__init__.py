"""Adapters that prove the kit: broken ones that it has to catch, and odd ones that it may not blame.

Each is made from a correct adapter by a small override, so what is wrong with it is the few lines to be read here.
"""
