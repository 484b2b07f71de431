"""The conformance kit: checks, engine doubles and broken adapters, with which anyone can prove an engine adapter."""
