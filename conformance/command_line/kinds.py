"""Kinds of words on the command line: each is read by a function that says what is wrong with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from conformance.catalogue import CHECKS
from conformance.loading import NoSubject, find_subject, unknown
from conformance.subjects import SUBJECTS

if TYPE_CHECKING:
    from conformance.check import Check
    from conformance.subject import Subject

_LIST = "conformance list shows them"
ADAPTER_HELP = f"one of: {', '.join(SUBJECTS)}; or MODULE:NAME of your own subject"


def subject_named(name: str) -> Subject:
    """Read the name of a subject."""
    try:
        return find_subject(name)
    except NoSubject as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def check_named(check_id: str) -> Check:
    """Read the id of a check."""
    found = CHECKS.get(check_id.upper())
    if found is None:
        raise argparse.ArgumentTypeError(f"{unknown('check', check_id, CHECKS)} ({_LIST})")
    return found


def choice_of_checks(text: str) -> list[tuple[Check, str | None]]:
    """Read checks, families of them (CAN), and single cases (CAN-01:SCENE/CASE)."""
    chosen: list[tuple[Check, str | None]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        check_id, _, case = part.partition(":")
        family = [] if case else _family(check_id)
        chosen += [(check, None) for check in family] or [(check_named(check_id), case or None)]
    if not chosen:
        raise argparse.ArgumentTypeError("no check is named")
    return chosen


def _family(name: str) -> list[Check]:
    return [check for check in CHECKS.values() if check.id.startswith(f"{name.upper()}-")]


def setting(text: str) -> tuple[str, str]:
    """Read NAME=VALUE."""
    name, is_given, value = text.partition("=")
    if not name or not is_given:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return int(text)


def some(text: str) -> int:
    """Read a number of things, at least one."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return int(text)
