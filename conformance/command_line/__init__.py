"""The commands of `conformance`: what each is told, and what it does with it. `conformance/__main__.py` chooses."""
