"""Frames into events, whatever the bytes: legal orders or a `WorkerError`, and nothing else."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import MockClock

from adapter_api import AdapterError, End, FrameOrder, Metrics, Started, Token, TokenEvent, WorkerError
from adapters.llamacpp import mapping
from conformance.engines.script import Accept, Cut, Malformed, Script, SplitBytesAt, Step
from http_util.engine import drawn_seed
from http_util.live import Progress
from http_util.sse import ServerEvent
from tests.adapters.rig import Outcome, open_rig, read, request

GOOD = (
    b'data: {"index":0,"content":" caf","tokens":[301],"stop":false,"id_slot":-1,"tokens_predicted":1,'
    b'"tokens_evaluated":2}\n\n'
    b":\n\n"
    b'data: {"index":0,"content":"\xc3\xa9 \xe2\x80\xa8","tokens":[402],"stop":false,"tokens_predicted":3}\n\n'
    b'data: {"index":0,"content":"","tokens":[],"stop":true,"model":"m","tokens_predicted":3,"tokens_evaluated":2,'
    b'"generation_settings":{"seed":7},"prompt":"Hi","stop_type":"limit","timings":{"cache_n":0}}\n\n'
)


def reading() -> mapping.Reading:
    return mapping.Reading(
        lambda tokens_in, warmth: Started(tokens_in=tokens_in, kv_warmth=warmth),
        lambda body: AdapterError(f"completion: {body.decode()}"),
    )


def decode(*frames: bytes, name: str = "message") -> list[TokenEvent]:
    read_frame, so_far, events = reading(), Progress(), list[TokenEvent]()
    for frame in frames:
        for event in read_frame(ServerEvent(frame, name), so_far):
            events.append(event)
            if isinstance(event, Token):
                so_far.tokens += 1
    return events


def test_the_first_frame_starts_the_stream_and_brings_what_is_known_by_then() -> None:
    progress = b'{"content":"","stop":false,"tokens_evaluated":9,"prompt_progress":{"total":9,"cache":4,"processed":4}}'
    how_far = Metrics({"prompt_tokens_read": 4, "prompt_tokens_total": 9})
    assert decode(progress) == [Started(tokens_in=9, kv_warmth=True), how_far]
    assert decode(progress.replace(b'"cache":4', b'"cache":0')) == [Started(tokens_in=9, kv_warmth=False), how_far]
    assert decode(b'{"content":"a"}') == [Started(), Token("a", 0)]


def test_counts_that_the_engine_does_not_give_are_counted() -> None:
    *_, end = decode(b'{"content":"a"}', b'{"content":"b"}', b'{"content":"","stop":true,"stop_type":"eos"}')
    assert isinstance(end, End)
    assert (end.tokens_out, end.tokens_in) == (2, None)


@pytest.mark.parametrize("none", [b"null", b"false", b'""', b"{}"])
def test_an_error_that_is_empty_is_none(none: bytes) -> None:
    assert decode(b'{"content":"a","error":%b}' % none) == [Started(), Token("a", 0)]


@pytest.mark.parametrize("error", [b'{"code":500}', b'"boom"', b"[1]", b"1", b"true"])
def test_an_error_is_seen_before_anything_else(error: bytes) -> None:
    with pytest.raises(AdapterError):
        decode(b'{"content":"a","stop":true,"error":%b}' % error)


def test_an_error_line_of_an_old_build_is_the_error_object_itself() -> None:
    with pytest.raises(AdapterError, match=r'^completion: \{"error":\{"code":500\}\}$'):
        decode(b'{"code":500}', name="error")


@given(frame=st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(msgspec.json.encode))
@example(frame=b'{"content":"\\ud800"}')
def test_any_frame_gives_events_or_one_of_the_documented_errors(frame: bytes) -> None:
    with contextlib.suppress(WorkerError, ValueError, msgspec.MsgspecError):
        order = FrameOrder()
        for event in decode(frame):
            order.accept(event)


@given(seed=st.integers(-(2**63), 2**63 - 1))
def test_every_seed_becomes_one_that_the_engine_keeps(seed: int) -> None:
    kept = mapping.engine_seed(seed)
    assert 0 <= kept < mapping.RANDOM_SEED
    assert mapping.engine_seed(kept) == kept
    assert kept == seed or not 0 <= seed < mapping.RANDOM_SEED


@given(random01=st.floats(0, 1, exclude_max=True))
def test_a_drawn_seed_is_kept_as_it_is(random01: float) -> None:
    assert mapping.engine_seed(drawn_seed(random01)) == drawn_seed(random01)


class Mutation(msgspec.Struct, frozen=True):
    """Replace `length` bytes at `at` by `bytes`."""

    at: int
    length: int
    by: bytes

    def __call__(self, text: bytes) -> bytes:
        at = self.at % (len(text) + 1)
        return text[:at] + self.by + text[at + self.length :]


PIECES = st.binary(max_size=6) | st.sampled_from([
    b"\n\n",
    b"\r",
    b"data: ",
    b"error: ",
    b'"stop":true',
    b'"error":1,',
    b"[DONE]",
    b"{",
    b'"',
    b"\xff",
    b"null",
])
mutations = st.lists(st.builds(Mutation, st.integers(0, 1000), st.integers(0, 40), PIECES), max_size=4)


def play(*steps: Step) -> Outcome:
    async def main() -> Outcome:
        async with open_rig(Script(steps), timeouts={"idle_ms": 2000, "first_token_ms": 2000}) as rig:
            outcome = await read(rig.adapter, request())
            await rig.settle()
            assert (rig.double.facts.live, rig.double.facts.connections) == (0, 0)
            return outcome

    return trio.run(main, clock=MockClock(autojump_threshold=0))


@pytest.mark.req("ADAPT-3002", "ADAPT-3010")
@given(changes=mutations, size=st.integers(1, 700))
def test_damaged_bytes_give_a_legal_order_or_a_worker_error(changes: list[Mutation], size: int) -> None:
    body = GOOD
    for change in changes:
        body = change(body)
    outcome = play(Accept(), SplitBytesAt((size,)), Malformed(body), Cut(clean=True))
    assert outcome.order.is_done or outcome.error is not None  # every event has passed the order machine
    assert not (outcome.order.is_done and outcome.error)


@pytest.mark.req("ADAPT-3010")
@given(length=st.integers(0, len(GOOD) - 1), clean=st.booleans())
def test_a_truncated_stream_never_ends_well(length: int, clean: bool) -> None:
    outcome = play(Accept(), Malformed(GOOD[:length]), Cut(clean=clean))
    only_the_blank_line_is_missing = length == len(GOOD) - 1 and clean
    assert ("end" in outcome.kinds) is only_the_blank_line_is_missing
    if not only_the_blank_line_is_missing:
        assert outcome.error is not None
        assert outcome.error.kind in {"WorkerReset", "Adapter"}


@pytest.mark.req("ADAPT-3101")
def test_the_engine_is_asked_to_write_while_it_reads_a_prompt() -> None:
    """It notices a closed connection only when it writes; a prefill that is cancelled would run to its end."""
    body = mapping.completion(request("long"), "long", 1)
    assert body["return_progress"] is True
