"""Tests of the gate: a small project in which everything agrees, and the many ways to break it."""
