"""Words from outside that get into errors and logs: those that are known, and no others."""

from __future__ import annotations

import logging

import pytest

import http_util.client  # noqa: F401 - what it sets is what is looked at
from adapter_api import AdapterError
from http_util.client import ClientSettings, open_client
from http_util.stream import StreamBounds, open_events
from tests.support.http_wire import BASE, answering, engine, plain_classify, response


@pytest.mark.req("ADAPT-3014")
@pytest.mark.parametrize(
    ("content_type", "shown"),
    [("Text/HTML; x=hunter22", "'text/html'"), ("application/hunter22", "another content type")],
)
async def test_a_content_type_is_quoted_if_it_is_a_usual_one(content_type: str, shown: str) -> None:
    async with (
        engine(answering([response(b"x", content_type=content_type)])) as host,
        open_client(ClientSettings(base_url=BASE, dial=host.dial)) as client,
    ):
        with pytest.raises(AdapterError) as caught:
            async with open_events(client, "/x", json={}, bounds=StreamBounds(), classify=plain_classify):
                pass
    assert caught.value.message == f"completion: HTTP 200 with {shown}, not an event stream"


@pytest.mark.req("ADAPT-3014")
@pytest.mark.parametrize("library", ["hpack.hpack", "httpcore.http11", "httpcore.proxy"])
def test_libraries_log_no_headers(library: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert not logging.getLogger(library).isEnabledFor(logging.DEBUG)
