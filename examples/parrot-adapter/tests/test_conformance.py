"""The Parrot adapter, proved: every check of the kit, in virtual time."""

import trio
from parrot_double import VERSION, ParrotDouble

from conformance.api import check_adapter
from conformance.subjects.http_engine import HttpSubject

PARROT = HttpSubject(
    engine="parrot",
    build=lambda situation: ParrotDouble(situation.engine_tasks, situation.slots),
    engine_version=VERSION,
)


def test_the_adapter_conforms() -> None:
    trio.run(check_adapter, PARROT)
