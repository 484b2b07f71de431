"""Tests of `specs`: the loader, and that the code says what the documents say."""
