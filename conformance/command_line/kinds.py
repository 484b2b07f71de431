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
        raise argparse.ArgumentTypeError(unknown("check", check_id, CHECKS))
    return found


def choice_of_checks(text: str) -> list[tuple[Check, str | None]]:
    """Read checks and single cases of them."""
    chosen: list[tuple[Check, str | None]] = []
    for part in filter(None, text.split(",")):
        check_id, _, case = part.strip().partition(":")
        chosen.append((check_named(check_id), case or None))
    return chosen


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
