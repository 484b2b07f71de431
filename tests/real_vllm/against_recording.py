"""A real vLLM still answers as it did when it was recorded for the vLLM double."""

from __future__ import annotations

import pytest
import trio

from tests.conformance_engines.recording import call_all, comparable
from tests.conformance_engines.recording_vllm import FLAVOURS, REQUESTS, recorded, serving


@pytest.mark.interop
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_new_version_of_the_real_server_still_answers_like_its_recording(flavour: str) -> None:
    with serving(flavour) as url:
        answers = trio.run(call_all, url, REQUESTS, flavour)
    expected = [real for ask, real in recorded() if ask.flavour == flavour]
    for (ask, got), real in zip(answers, expected, strict=True):
        now = comparable(got.status, got.headers, got.body.decode())
        assert now == comparable(real.status, real.headers, real.body), (ask.name, ask.body)
