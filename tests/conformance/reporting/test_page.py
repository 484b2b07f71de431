from __future__ import annotations

import base64
import re
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given

from conformance.catalogue import CHECKS
from conformance.reporting.page import page
from conformance.reporting.page_parts import SCRIPT, STYLE

from .runs import BROKEN, HOSTILE, good, record, texts

TAGS = (
    {"html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "p", "span", "ul", "li", "br"}
    | {"table", "caption", "thead", "tbody", "tr", "th", "td", "div", "a", "details", "summary", "dl", "dt", "dd"}
    | {"strong", "code", "pre", "form", "fieldset", "legend", "label", "input", "output", "abbr", "script", "button"}
)
VOID = {"meta", "br", "input"}
ASKS = {"src", "srcset", "action", "data", "poster", "background", "formaction", "ping", "xlink:href"}
"""Attributes that make a browser ask for something."""


class Page(HTMLParser):
    """A page that was read: tags, attributes, text; it fails on a tag that is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["script"]):
            self.text += data

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


@given(texts, texts)
def test_any_text_stays_text(text: str, other: str) -> None:
    shown = Page(page(record(text, adapter=other or "x", kit_error=text)))
    assert {tag for tag, _ in shown.tags} <= TAGS
    assert sum(tag == "script" for tag, _ in shown.tags) == 1
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("text", ["a text", *HOSTILE])
def test_nothing_is_asked_for_from_outside(text: str) -> None:
    shown = Page(page(record(text, kit_error=text)))
    assert not [name for _, attributes in shown.tags for name in attributes if name in ASKS]
    assert all(target.startswith("#") for target in shown.all("href"))
    assert not re.search(r"url\(|@import|https?:", STYLE + SCRIPT)


def test_the_policy_lets_in_the_page_s_own_style_and_script_and_nothing_else() -> None:
    (policy,) = (each["content"] for _, each in Page(page(good())).tags if "content" in each and "http-equiv" in each)
    style, script = (base64.b64encode(sha256(text.encode()).digest()).decode() for text in (STYLE, SCRIPT))
    assert policy == f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'"
    assert f"<style>{STYLE}</style>" in page(good())
    assert f"<script>{SCRIPT}</script>" in page(good())
    assert "</" not in SCRIPT


def test_every_link_leads_somewhere_and_no_place_has_two_names() -> None:
    shown = Page(page(good()))
    places = shown.all("id")
    assert len(places) == len(set(places))
    assert {target[1:] for target in shown.all("href")} <= set(places)
    assert {f"#{check_id}" for check_id in CHECKS} <= set(shown.all("href"))


def test_a_failure_tells_its_story() -> None:
    shown = Page(page(record("it said <b>no</b>")))
    for words in (
        "does not conform",
        BROKEN,
        "ADAPT-3010a",
        "it said <b>no</b>",
        "And 2 cases more.",
        "a counter that is reset",
    ):
        assert words in shown.text


def test_all_of_it_is_there_without_script() -> None:
    """Only the filter begins hidden, and what it says when nothing is left: the script shows them."""
    hidden = [attributes.get("id") for _, attributes in Page(page(record())).tags if "hidden" in attributes]
    assert hidden == ["filter", "none"]


def test_it_has_colours_for_light_and_for_dark() -> None:
    assert "color-scheme: light dark" in STYLE
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    named = set(re.findall(r"--([\w-]+):", light))
    assert set(re.findall(r"--([\w-]+):", dark)) == named
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) <= named


@pytest.mark.parametrize("scheme", [0, 1])
def test_words_can_be_told_from_their_ground(scheme: int) -> None:
    """A contrast of 4.5 and more, as WCAG 2 asks for."""
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[scheme]))
    pairs = [(name, f"{name}-ground") for name in ("pass", "fail", "warn", "other")]
    pairs += [("ink", "ground"), ("faint", "ground"), ("ink", "raised"), ("faint", "none-ground"), ("accent", "ground")]
    assert {
        pair: _contrast(*(colours[name] for name in pair))
        for pair in pairs
        if _contrast(*(colours[name] for name in pair)) < 4.5
    } == {}


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
