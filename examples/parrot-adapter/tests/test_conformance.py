"""The Parrot adapter, proved: every check of the kit, in virtual time."""

import trio
from parrot_proof import subject

from conformance.api import check_adapter


def test_the_adapter_conforms() -> None:
    trio.run(check_adapter, subject)
