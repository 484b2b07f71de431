"""Tests of `http_util`."""
