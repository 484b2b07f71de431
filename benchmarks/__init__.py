"""How fast the service relays, against the same engine reached directly and through other relays."""
