"""Which hosts a replica may reach: those that its settings name, or those of the list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import Secret
from orchestratord.config import egress_policy

from .support import configured, pool, refused, replica

NAMED = {"url": "https://Engine.LAN/prefix", "grpc": "10.0.0.7:8001", "proxy": Secret("http://u:p@proxy.lan:3128")}


@pytest.mark.req("ORCH-3080c")
@pytest.mark.parametrize(
    ("host", "port", "is_permitted"),
    [
        ("engine.lan", 443, True),
        ("ENGINE.lan", 443, True),
        ("engine.lan", 80, False),
        ("10.0.0.7", 8001, True),
        ("proxy.lan", 3128, True),
        ("elsewhere.example", 443, False),
        ("u", 80, False),
    ],
)
def test_by_default_the_named_hosts_are_permitted_and_no_others(host: str, port: int, is_permitted: bool) -> None:
    assert (
        egress_policy(None, {"deep": [{"er": NAMED}], "timeout": 5, "file": "/etc/ca.pem"})(host, port) is is_permitted
    )


@pytest.mark.req("ORCH-3080c")
@pytest.mark.parametrize("url", ["http://[::1]:8080", "http://[::1]:8080/"])
def test_an_ipv6_address_is_a_host(url: str) -> None:
    permits = egress_policy(None, {"url": url})
    assert permits("::1", 8080)
    assert not permits("::2", 8080)


@pytest.mark.req("ORCH-3080d")
def test_a_list_takes_the_place_of_the_names() -> None:
    permits = egress_policy(["gpu-1.lan", "gpu-2.lan:8000", "[fe80::1]:1"], NAMED)
    assert permits("gpu-1.lan", 1)
    assert permits("gpu-1.LAN", 65_535)
    assert permits("gpu-2.lan", 8000)
    assert permits("fe80::1", 1)
    assert not permits("gpu-2.lan", 8001)
    assert not permits("engine.lan", 443)


@pytest.mark.req("ORCH-3080d")
def test_an_engine_outside_of_the_list_is_refused_when_the_configuration_is_read() -> None:
    lines = refused({"pools": [replica(url="http://127.0.0.1:9")], "egress": {"allow": ["localhost", "127.0.0.1:8"]}})
    (line,) = lines
    assert line.startswith(
        "configuration: pools[0].replicas[0].settings.url: 127.0.0.1:9 is not in egress.allow: add it there"
    )
    config = configured({"pools": [pool()], "egress": {"allow": ["127.0.0.1:9"]}})
    assert config.egress.allow == ("127.0.0.1:9",)


def test_an_entry_of_the_list_that_is_no_host_is_refused() -> None:
    (line,) = refused({"egress": {"allow": ["http://engine"]}})
    assert "egress.allow[0]: expected a text of the form" in line


@pytest.mark.req("ORCH-3080c")
@given(
    settings=st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_stands_in_the_settings_a_host_that_they_do_not_name_is_denied(settings: object) -> None:
    assert not egress_policy(None, {"settings": settings})("not-in-any-settings.example", 443)
