"""The command as a person meets it: against a socket, with its exit codes, and with no token in what it prints."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import specs
from conformance.__main__ import main
from conformance.outcome import Exit
from conformance.service.broken.telling import QuotesTheToken
from conformance.service.client import Address
from conformance.service.zoo import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

PEM = str(Path(__file__).parents[2] / "support" / "tls" / "localhost.pem")
TOKEN = "a-token-of-the-zoo-17"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["service", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@contextmanager
def listening(kind: type[Service], *, over_tls: bool = False, secret: str = TOKEN) -> Iterator[str]:
    """Serve on a socket from another thread, since the command runs a loop of its own."""
    ports: list[int] = []
    stop: list[tuple[trio.lowlevel.TrioToken, trio.CancelScope]] = []
    is_up = threading.Event()

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            service = kind(nursery, specs.load(), secret, 0.0)
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            ports.append(listener.socket.getsockname()[1])
            stop.append((trio.lowlevel.current_trio_token(), nursery.cancel_scope))
            is_up.set()
            await trio.serve_listeners(service.wire.serve, [_secured(listener) if over_tls else listener])

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert is_up.wait(10)
    try:
        yield f"https://localhost:{ports[0]}" if over_tls else f"http://127.0.0.1:{ports[0]}"
    finally:
        token, scope = stop[0]
        token.run_sync_soon(scope.cancel)
        thread.join(10)


def _secured(listener: trio.SocketListener) -> trio.abc.Listener[trio.SSLStream[trio.SocketStream]]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(PEM)
    return trio.SSLListener(listener, context, https_compatible=True)


def test_a_service_over_tls(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_TOKEN", TOKEN)
    monkeypatch.setenv("SSL_CERT_FILE", PEM)
    with listening(Service, over_tls=True) as url:
        assert run("--url", url, "--token-env", "ZOO_TOKEN", "--only", "S-HTTP-01,S-STR-08") == Exit.CONFORMING
        monkeypatch.delenv("SSL_CERT_FILE")
        assert run("--url", url, "--token-env", "ZOO_TOKEN", "--only", "S-HTTP-01") == Exit.TOO_LITTLE_RAN
    assert "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().out


def test_a_service_that_conforms(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_TOKEN", TOKEN)
    with listening(Service) as url:
        assert run("--url", url, "--token-env", "ZOO_TOKEN", "--only", "S-HTTP-01,S-STR-01,S-AUT-02") == Exit.CONFORMING
    assert f"{url} conforms: 3 pass" in capsys.readouterr().out


def test_a_service_that_does_not_and_no_secret_in_the_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_TOKEN", TOKEN)
    with listening(QuotesTheToken) as url:
        code = run("--url", url, "--token-env", "ZOO_TOKEN", "--only", "S-RED-01", "--verbose")
    assert code == Exit.NOT_CONFORMING
    shown = capsys.readouterr().out
    assert "HTU-1004" in shown
    assert f"reproduce conformance service --url {url} --token-env ZOO_TOKEN --only S-RED-01" in shown
    assert TOKEN not in shown


def test_only_what_cannot_be_tried_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(Service, secret="") as url:
        assert run("--url", url, "--only", "S-AUT-03") == Exit.TOO_LITTLE_RAN
    assert "no token is known" in capsys.readouterr().out


def test_nobody_there_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--url", "http://127.0.0.1:9") == Exit.TOO_LITTLE_RAN
    assert "no connection" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--url"),
        (["--url", "127.0.0.1:8080"], "is no URL of a service"),
        (["--url", "http://u:p@host"], "--token-env"),
        (["--url", "http://host", "--only", "S-CAN-99"], "there is no check 'S-CAN-99'"),
        (["--url", "http://host", "--token-env", "NOT_THERE_1"], "NOT_THERE_1"),
        (["--url", "http://host", "--fill", "-1"], "no number from 0 up"),
        (["--explain", "S-XXX-01"], "there is no check"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == Exit.USAGE
    shown = capsys.readouterr().err
    assert words in shown
    assert "u:p" not in shown.replace("usage", "")


def test_checks_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == Exit.CONFORMING
    assert run("--explain", "s-can-01") == Exit.CONFORMING
    shown = capsys.readouterr().out
    assert "S-QUE-02" in shown
    assert "MUST NOT leave on any connection" in shown


def test_addresses() -> None:
    assert Address.of("https://host/base/") == Address(True, "host", 443, "/base")
    assert Address.of("http://[::1]:8080").authority == "[::1]:8080"
