"""Without a script: a plausible answer, made from seed and prompt."""

from __future__ import annotations

import pytest
import trio

from adapter_api import AdapterError, End, FinishReason, Message, Sampling, Started, Token

from .support import EMBEDDING, GREEDY, RERANK, collect, open_mock, request, text_of


@pytest.mark.req("ADAPT-3003", "ADAPT-3010")
async def test_started_tells_what_decides_the_text(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(model_digest="sha256:d") as adapter:
        events = await collect(adapter, request(seed=7, sampler_profile_version="v2"))
    assert events[0] == Started(
        engine_version="mock-1", model_digest="sha256:d", sampler_profile_version="v2", seed=7, tokens_in=3
    )
    assert [event.i for event in events if isinstance(event, Token)] == list(range(len(events) - 2))
    assert isinstance(events[-1], End)
    assert events[-1].tokens_out == len(events) - 2


async def test_the_pace_is_the_configured_one(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(tokens_per_second=8.0) as adapter:
        before = trio.current_time()
        events = await collect(adapter, request(max_tokens=5, seed=1))
    assert trio.current_time() - before == pytest.approx(5 / 8)
    assert isinstance(events[-1], End)
    assert events[-1].decode_time_ms == 500
    assert events[-1].finish_reason is FinishReason.LENGTH


async def test_same_seed_same_text_and_another_seed_another(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock() as adapter:
        texts = [text_of(await collect(adapter, request(seed=seed))) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


async def test_at_temperature_zero_no_seed_matters(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock() as adapter:
        texts = {text_of(await collect(adapter, request(seed=seed, sampling=GREEDY))) for seed in (None, 1, 2)}
    assert len(texts) == 1


async def test_an_engine_can_be_told_to_ignore_seeds(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(seed_behaviour="ignore", fresh=0.25) as adapter:
        events = await collect(adapter, request(seed=1))
    assert isinstance(events[0], Started)
    assert events[0].seed == 2**29


async def test_a_stop_string_ends_the_text_before_it(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock() as adapter:
        whole = text_of(await collect(adapter, request(seed=1)))
        cut = await collect(adapter, request(seed=1, sampling=Sampling(stop=(whole[10:14],))))
    assert text_of(cut) == whole[: whole.find(whole[10:14])]


async def test_a_chat_is_answered_by_its_whole_text(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock() as adapter:
        chat = request(prompt="", messages=(Message("user", "hello"),), seed=1)
        plain = request(prompt="user: hello", seed=1)
        assert text_of(await collect(adapter, chat)) == text_of(await collect(adapter, plain))


async def test_embeddings_and_scores_come_in_the_order_of_the_inputs(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock() as adapter:
        vectors = (await collect(adapter, request(workload=EMBEDDING, inputs=("a", "b", "a"))))[-1].data["result"]
        scores = (await collect(adapter, request(workload=RERANK, prompt="a b", inputs=("b a", "c"))))[-1].data[
            "result"
        ]
    assert isinstance(vectors, list)
    assert vectors[0] == vectors[2] != vectors[1]
    assert scores == [1.0, 0.0]


@pytest.mark.parametrize(
    ("settings", "fields", "words"),
    [
        ({"workloads": ["completion"]}, {"workload": EMBEDDING}, "does not serve embedding"),
        ({"ctx_max": 3}, {}, "exceeds the context size (3 tokens)"),
    ],
)
async def test_what_the_engine_cannot_do_is_the_callers_fault(
    settings: dict[str, object], fields: dict[str, object], words: str
) -> None:
    async with open_mock(**settings) as adapter:  # type: ignore[arg-type]  # the settings of the table above
        with pytest.raises(AdapterError) as caught:
            await collect(adapter, request(**fields))  # type: ignore[arg-type]  # the same
        assert words in caught.value.message
        assert caught.value.blames_request
        assert adapter.facts.live == ()


async def test_the_answer_stops_where_the_context_is_full(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(ctx_max=5) as adapter:
        events = await collect(adapter, request())
    assert len(text_of(events).split()) == 2
    assert isinstance(events[-1], End)
    assert events[-1].finish_reason is FinishReason.LENGTH
