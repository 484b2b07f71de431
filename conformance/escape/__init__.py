"""Notices a step outside of the simulation while a case plays in virtual time, and names the line that took it."""
