"""What a check may need of a subject: the names that stand in `limits`, and what each of them is.

A subject whose engine cannot do one of these says so, with the reason; checks that need it are then not applicable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .subject import SCRIPTS, SECRETS, SEED

if TYPE_CHECKING:
    from collections.abc import Mapping

MEANS: Mapping[str, str] = {
    SCRIPTS: "the engine does what a script says (a running engine does as it likes)",
    SECRETS: "the adapter has credentials that the kit has put in and can look for",
    SEED: "the engine takes a seed",
    "wire": "there are bytes between adapter and engine",
    "connection": "the adapter opens connections to its engine",
    "slow-connections": "the subject heeds `dial_s` of its situation: a connection takes that long",
    "silent-connections": "it heeds `silent_after`: a connection stays open and gives nothing after so many bytes",
    "failing-connections": "it heeds `dial_error`: a connection fails with this text",
    "address-with-secrets": "it heeds `credentials_in_url` and `key_in_query`: the engine's address has a secret in it",
    "head": "the engine can accept a request before it says anything",
    "end-marker": "the engine marks the end of an answer, so that a cut one can be told from a whole one",
    "reasons": "the engine says why an answer ended",
    "own-reasons": "the engine may end an answer for a reason that the contract has no word for",
    "stop-strings": "the engine ends an answer before a string that the request names",
    "counts": "the engine counts tokens",
    "parallel": "the adapter takes a request while another is under way",
    "long-answers": "an answer may be millions of characters long",
}
"""Name of a means -> what it is."""
