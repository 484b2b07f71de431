"""An answer whose connection closes at one of its bytes, wherever that is: in its head, a chunk or a character."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter_api import WorkerReset
from conformance.check import Scene, one
from conformance.engines.script import CutAfter, Script

from .scripts import WORDS, quick

if TYPE_CHECKING:
    from conformance.lab import Lab
    from conformance.reading import Reading

_ALL = "".join(WORDS)
_STRIDE = 61  # bytes: a prime, so that other seeds come to other places
_LONGEST = 128 * _STRIDE
_ENDS_TO_SEE = 3


async def is_cut_at_a_byte(lab: Lab) -> None:
    """Close the connection after ever more bytes of one answer; the seed says at which bytes."""
    lab.need("wire")
    sizes = range(lab.seed % _STRIDE, _LONGEST, _STRIDE)
    ends = 0
    async with lab.open(*[Script.of(CutAfter(size), *quick(*WORDS).steps) for size in sizes]) as bench:
        for size in sizes:
            reading = await bench.read()
            _expect_cut(lab, reading, size, may_end=reading.text == _ALL, must_end=ends > 0)
            ends += reading.end is not None
            if ends == _ENDS_TO_SEE:
                break


def _expect_cut(lab: Lab, reading: Reading, size: int, *, may_end: bool, must_end: bool) -> None:
    """An answer ends well if its marker has come, which is so from some byte on."""
    last = reading.frames[-1:]
    is_right = (reading.end is not None and may_end) or (isinstance(reading.error, WorkerReset) and not must_end)
    expected = "`end`, as with fewer bytes" if must_end else "WorkerReset for a stream that broke off"
    actual = f"after {size} bytes and {reading.text!r}: {last[0].what if last else 'nothing'}"
    lab.expect("FRM-13", is_right, expected, actual, *last)
    is_beginning = _ALL.startswith(reading.text)
    lab.expect("FRM-07", is_beginning, f"the beginning of {_ALL!r}", f"{reading.text!r} after {size} bytes", *last)


CUT_ANYWHERE = Scene(
    name="cut-at-bytes",
    how=f"The connection closes after ever more bytes of one answer, every {_STRIDE}th; another seed takes others.",
    cases=one(is_cut_at_a_byte),
)
