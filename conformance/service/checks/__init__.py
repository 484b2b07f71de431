"""The checks of a service, by what they are about."""
