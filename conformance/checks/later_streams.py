"""Cancel of a stream that is not its adapter's first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.check import MOST_SEEDS, Scene, each
from conformance.times import STEP_S

from .scripts import FIRST_TOKEN_AT_S, quick, steady

if TYPE_CHECKING:
    from conformance.lab import Lab


async def on_a_later_stream(lab: Lab, number: int) -> None:
    """Cancel the n-th stream one checkpoint after its second word."""
    lab.given.append(f"stream {number} is canceled one checkpoint after its second word")
    async with lab.open(*[quick("One")] * (number - 1), steady()) as bench:
        for _ in range(number - 1):
            await bench.read()
        began_s = lab.transcript.entries[-1].at_s
        reading = bench.start()
        await lab.until(began_s + FIRST_TOKEN_AT_S + STEP_S, 1)
        ack = await bench.cancel(reading.request.task_id)
        await reading.over.wait()
        late = [frame for frame in reading.tokens if frame.number > ack.returned.number]
        actual = f"{len(late)} token(s) came after cancel() had returned"
        lab.expect("CAN-01", not late, "no token after cancel() has returned", actual, *late)


LATER = Scene(
    name="later-stream",
    how="The 2nd, 3rd and 4th stream of an adapter is canceled a checkpoint after a word, under several schedules.",
    cases=each(on_a_later_stream, {f"stream-{number}": number for number in (2, 3, 4)}, MOST_SEEDS),
)
