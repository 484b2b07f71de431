"""A chat's prompt is the template's text, without a special token that the tokenizer adds again."""

from __future__ import annotations

import msgspec
import pytest

from adapter_api import Message
from adapters.tgi import chat

pytestmark = pytest.mark.req("OC-ADAPT-5040f")

BOS, ADDED = 1, {"id": 1, "text": "", "start": 0, "stop": 0}


def tokens(*views: dict[str, object]) -> list[chat.TokenView]:
    return msgspec.convert(views, list[chat.TokenView])


def templated(text: str, *views: dict[str, object]) -> chat.Templated:
    return chat.Templated(text, tokens(*views))


def test_a_chat_names_the_model_or_the_adapter() -> None:
    body = chat.template((Message("user", "Hi"),), None)
    assert body == {"model": "tgi", "messages": [{"role": "user", "content": "Hi"}]}
    assert chat.template((), "poet")["model"] == "poet"


def test_what_stands_nowhere_at_the_start_was_added() -> None:
    assert chat.added_before(tokens(ADDED, {"id": 9, "start": 0, "stop": 1})) == (BOS,)
    assert chat.added_before(tokens({"id": 9, "start": 0, "stop": 1}, {**ADDED, "id": 2})) == ()
    assert chat.added_before(tokens(ADDED)) == ()  # nothing of the text is there: no way to tell
    assert chat.added_before([]) == ()


def test_a_token_that_is_added_anyway_is_taken_off_the_text() -> None:
    made = templated("<s>[INST] Hi", {"id": 1, "start": 0, "stop": 3}, {"id": 50, "start": 3, "stop": 9})
    assert chat.prompt(made, (BOS,)) == "[INST] Hi"


def test_characters_are_counted_and_not_bytes() -> None:
    made = templated("«é»user", {"id": 1, "start": 0, "stop": 3}, {"id": 50, "start": 3, "stop": 7})
    assert chat.prompt(made, (BOS,)) == "user"


@pytest.mark.parametrize("added", [(), (2,), (1, 2), (1, 50, 60)])
def test_a_text_that_begins_otherwise_stays_whole(added: tuple[int, ...]) -> None:
    made = templated("<s>Hi", {"id": 1, "start": 0, "stop": 3}, {"id": 50, "start": 3, "stop": 5})
    assert chat.prompt(made, added) == "<s>Hi"
