"""Checks of a running service, as a black box over HTTP: `conformance service --url http://...`.

The client is the kit's own: it shares no code with the service or with the adapters' HTTP parts.
"""
