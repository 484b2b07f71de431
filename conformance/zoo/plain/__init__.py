"""An adapter for OpenAI's interface as a stranger might write it: from the specification, on `h11`, with no retries.

It shares no code with the adapters of this project, so what they have in common cannot hide here; it is an odd animal
that has to pass. And each of its parts is small enough to be broken by one override, down on the wire where no wrapper
around an adapter reaches.
"""

from .subject import ODD, PLAIN, plain_subject

__all__ = ["ODD", "PLAIN", "plain_subject", "subject"]

subject = PLAIN
"""What `--adapter conformance.zoo.plain:subject` names."""
