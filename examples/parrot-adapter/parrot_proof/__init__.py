"""What proves the adapter: `subject` tells the kit how it is opened, and which engine to play to it.

conformance run --adapter parrot_proof:subject
"""

from parrot_adapter import factory

from conformance.subjects.http_engine import HttpSubject

from .double import VERSION, ParrotDouble

subject = HttpSubject(
    engine="parrot",
    factory=factory,
    build=lambda situation: ParrotDouble(situation.engine_tasks, situation.slots),
    engine_version=VERSION,
)
