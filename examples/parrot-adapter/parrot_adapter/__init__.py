"""An orchestratord adapter for Parrot, an engine that repeats what it hears."""

from .adapter import ParrotFactory

factory = ParrotFactory()
"""What the entry point names."""
