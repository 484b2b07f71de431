"""Scripts survive JSON, and a wrong one says where it is wrong."""

from __future__ import annotations

from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.engines.script import STEPS, Answer, Die, Fail, Malformed, Script, Text, script_from_json

FINITE = st.floats(0, 1e9)
steps = st.one_of(
    *(
        st.builds(step, **{name: FINITE for name, hint in get_type_hints(step).items() if hint is float})
        for step in STEPS.values()
    )
)


@given(script=st.builds(Script, st.lists(steps, max_size=6).map(tuple), st.floats(0, 100)))
def test_a_script_survives_json(script: Script) -> None:
    assert script_from_json(script.to_json().decode("utf-8", "surrogatepass")) == script


def test_a_script_can_be_written_by_hand() -> None:
    text = """{"steps": [{"step": "Text", "text": "hi"}, {"step": "Malformed", "raw": "AAE="},
               {"step": "Fail", "status": 500, "type": "server_error", "message": "no", "in_stream": true},
               {"step": "Die", "down_s": 1}]}"""
    expected = Script.of(Text("hi"), Malformed(b"\x00\x01"), Fail(500, "server_error", "no", in_stream=True), Die(1))
    assert script_from_json(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '{"steps": [{"step": "Text", "text": "a"}, {"step": "Sing"}]}',
            r"steps\[1\]: unknown step 'Sing'; known: .*Text",
        ),
        ('{"steps": [{"text": "a"}]}', r"steps\[0\]: unknown step ''"),
        ('{"steps": [{"step": "Text", "text": "a", "loud": 1}]}', r"steps\[0\]: Text has no field 'loud'"),
        ('{"steps": [{"step": "Pause", "seconds": "long"}]}', r"steps\[0\]: Pause: .*seconds"),
        ('{"steps": [{"step": "Pause"}]}', r"steps\[0\]: Pause: .*seconds"),
        ('{"setps": []}', "setps"),
    ],
)
def test_a_wrong_script_says_where_it_is_wrong(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        script_from_json(text)


def test_bytes_may_be_written_as_text() -> None:
    text = """{"steps": [{"step": "Malformed", "raw_text": "data: caf\u00e9\\n\\n"},
               {"step": "Answer", "status": 502, "body_text": "no"}]}"""
    assert script_from_json(text) == Script.of(Malformed("data: caf\u00e9\n\n".encode()), Answer(502, b"no"))


def test_text_is_taken_for_bytes_only_where_bytes_are_meant() -> None:
    with pytest.raises(ValueError, match="no field 'text_text'"):
        script_from_json('{"steps": [{"step": "Text", "text_text": "x"}]}')
    with pytest.raises(ValueError, match=r"steps\[0\]: Malformed: Expected `str`"):
        script_from_json('{"steps": [{"step": "Malformed", "raw_text": 7}]}')
