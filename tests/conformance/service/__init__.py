"""Tests of the checks of a service: the real one passes, broken ones are caught."""
