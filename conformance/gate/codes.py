"""The kinds of finding, as data: a code never moves to another fault.

SPEC0xx are about documents and their lock, SPEC1xx about proofs, SPEC2xx about exceptions from the rules, SPEC3xx about
the code, SPEC4xx about evidence. `why` is what `--explain` prints, `fix` ends each line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Whether a finding fails the gate."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding."""

    id: str
    title: str
    why: str
    fix: str
    severity: Severity = Severity.ERROR


_LOCK = "run: conformance gate --fix"

_DOCUMENTS = (
    Code("SPEC001", "empty document", "A folder, or a document in it, states nothing: whatever was checked against it "
         "passed without being looked at.", "write a title and a requirement, or remove the file"),
    Code("SPEC002", "malformed head of a requirement", "An item in brackets without id and revision would not be read "
         "as a requirement, and nobody would be held to it.", "begin the item with `[ID r1]`"),
    Code("SPEC003", "not exactly one keyword", "A statement with no keyword binds nobody, one with two can be half "
         "fulfilled.", "write one of MUST, MUST NOT, SHOULD, SHOULD NOT and MAY, or split the statement"),
    Code("SPEC004", "keyword outside a requirement", "A MUST in prose looks like a rule and has no id, no check and no "
         "revision.", "write it in lower case, or make it an item with an id"),
    Code("SPEC005", "foreign keyword", "SHALL, REQUIRED and their kin are other words for the same five levels; the "
         "gate reads only these.", "write MUST, SHOULD or MAY"),
    Code("SPEC006", "id defined twice", "Two statements with one id: a check that names it is a proof of which?",
         "give the newer statement an id of its own"),
    Code("SPEC007", "malformed table", "A table that cannot be read says nothing to the checks and tests that are made "
         "from it.", "write the table as specs/README.md describes its kind"),
    Code("SPEC008", "unknown kind of table", "A block whose kind or attributes nobody knows is read by nobody.",
         "use a kind and the attributes of specs/README.md, or drop `spec=`"),
    Code("SPEC009", "row or table defined twice", "Of two rows with one key one is wrong, and no reader knows which.",
         "remove one of them"),
    Code("SPEC010", "text changed without revision", "Whoever relies on a statement sees by its revision that it is "
         "another one now. A changed word under an old revision is a change in silence.", "raise the revision"),
    Code("SPEC011", "level changed without revision", "From SHOULD to MUST and back is the greatest change a statement "
         "can make.", "raise the revision"),
    Code("SPEC012", "revision went back", "An older revision number promises an older text.", "raise the revision"),
    Code("SPEC013", "id used again", "The id was taken out before; tests, reports and older documents mean the other "
         "rule by it.", "give the statement an id that was never used"),
    Code("SPEC014", "lock edited by hand", "A text in the lock is not the one that was hashed: somebody made the lock "
         "agree with a change.", "restore the lock from version control, then " + _LOCK),
    Code("SPEC015", "no lock", "Without a lock, changes in silence cannot be seen.", _LOCK),
    Code("SPEC016", "lock out of date", "The documents have statements that the lock has not, or the other way round.",
         _LOCK),
    Code("SPEC017", "lock unreadable", "The lock is not what the command writes; a merge may have left marks in it.",
         "restore the lock from version control, then " + _LOCK),
    Code("SPEC018", "requirement lost", "An id that was agreed on is neither in the documents nor a tombstone: "
         "it could be used again for something else.", "restore the lock from version control, then " + _LOCK),
    Code("SPEC020", "name of nothing", "A table names a code, kind, label or requirement that is not defined.",
         "define it, or correct the name"),
    Code("SPEC021", "broken order of events", "A transition table leads nowhere, or an event has no schema or place.",
         "complete the transition table and the schemas"),
    Code("SPEC022", "not a JSON Schema", "A schema that is none accepts anything.", "write JSON Schema 2020-12"),
    Code("SPEC023", "example breaks its schema", "People copy examples. One that does not validate teaches the wrong "
         "thing, or the schema says something else than was meant.", "correct the example or the schema"),
    Code("SPEC024", "documents disagree", "A table and the enumeration of a schema, or two of them, are to have the "
         "same words and have not.", "add the word where it is missing, or remove it"),
    Code("SPEC025", "agreement on nothing", "A place that an agreement names has no words, or is not there: it would "
         "agree with anything.", "correct the place in the table of agreements"),
    Code("SPEC026", "document without profile", "Nobody has said how requirements of this document are proved, so none "
         "of them would be asked for.", "add the document to a profile"),
    Code("SPEC027", "profile of a document that is not there", "A profile that names no document asks for no proof; a "
         "renamed document would slip out of its profile that way.", "correct the name in the table of profiles"),
    Code("SPEC028", "document that is no text", "A file that is not UTF-8, leads nowhere or is far too large cannot "
         "be read, so nothing is known of what it states.", "save it as UTF-8 without a byte order mark"),
    Code("SPEC029", "document that nobody reads", "Only files `*.md` directly in the folder are read; what stands in "
         "another one binds nobody.", "move it, rename it, or take it out of the folder"),
    Code("SPEC030", "requirement that nobody reads", "Inside a comment, an indented block, a paragraph, or behind a "
         "fence without an end, a requirement is text like any other.", "make it an item of a list, or take it out"),
)  # fmt: skip

_PROOFS = (
    Code("SPEC101", "MUST without check", "Requirements of this profile are about adapters we do not know; only a "
         "check can hold them to it.", "write a MUST check that names it, or exclude it with a reason"),
    Code("SPEC102", "MUST without test", "No test carries the requirement's id, and no check names it.",
         'mark the test that proves it with @pytest.mark.req("ID"), or exclude it with a reason'),
    Code("SPEC103", "MUST check that never executed", "A check that is never applicable, or whose scene has no cases, "
         "looks green and has seen nothing.", "run it against an adapter it applies to, or exclude it with a reason"),
    Code("SPEC104", "check without requirement", "A check that no statement asks for is somebody's taste.",
         "name the requirement, or write it"),
    Code("SPEC105", "check for a requirement that is not there", "The failure text is read from the requirement; there "
         "is none.", "correct the id, or write the requirement"),
    Code("SPEC106", "check stricter than its text", "An adapter would fail for advice. The level of a check is that of "
         "the statements it names.", "make the check a SHOULD, or name what binds"),
    Code("SPEC107", "MUST check without a broken adapter", "A check that never caught anything may be unable to.",
         "break an adapter in the way the check is about, or exclude it with a reason"),
    Code("SPEC108", "broken adapter for no check", "The check that has to catch it is not there.",
         "name a check of the catalogue"),
    Code("SPEC109", "broken adapter escaped", "The check that has to catch it did not, or its failure text does not "
         "name the requirement.", "sharpen the check until it catches it"),
    Code("SPEC110", "check fails", "An adapter that counts as evidence does not conform.",
         "correct the adapter, or put it into the baseline with a reason and a date"),
    Code("SPEC111", "test for a requirement that is not there", "The mark names an id that no document defines.",
         "correct the id, or write the requirement"),
    Code("SPEC112", "test for a requirement that was taken out", "The id is a tombstone; the test holds the code to a "
         "rule that is gone.", "remove the mark, or name the requirement that took over"),
    Code("SPEC113", "more advice without proof", "SHOULD and MAY may go without proof, but no more of them than were "
         "agreed on.", "write a test or a check for the new one, or raise `unproved_advice`"),
    Code("SPEC114", "less advice without proof", "Some advice was proved since; the figure would let it slip back.",
         "lower `unproved_advice`", Severity.WARNING),
    Code("SPEC115", "test that never passed", "The tests that carry the id were skipped or failed in the run that is "
         "given as evidence.", "make it run and pass, or exclude it with a reason"),
    Code("SPEC116", "check defined twice", "Two checks with one id: a report cannot tell them apart.",
         "give one of them an id of its own"),
    Code("SPEC117", "check without a pin", "Nobody has said which revision of the requirement the check was written "
         "for, so a later one would pass unnoticed.", "run: conformance gate --fix"),
    Code("SPEC118", "check for another text", "The requirement was revised since somebody last held the check against "
         "it. The check may still test what was said before.",
         "look whether the check tests what is said now, then run: conformance gate --pin CHECK"),
    Code("SPEC119", "pin of nothing", "The check is gone, or does not name the requirement any more.",
         "run: conformance gate --fix"),
    Code("SPEC120", "pins unreadable", "A line that cannot be read pins nothing; a merge may have left marks in it.",
         "restore the file from version control, or take out the line, then run: conformance gate --fix"),
    Code("SPEC121", "mark on no test", "The function is not called `test…`, so it is never run and proves nothing.",
         "put the mark on the test, or name the function `test_…`"),
    Code("SPEC122", "broken adapter defined twice", "Of two with one name evidence tells only what became of one.",
         "give one of them a name of its own"),
)  # fmt: skip

_EXCEPTIONS = (
    Code("SPEC201", "exclusion without reason", "Whoever reads it later cannot tell whether it still holds.",
         "say why, so that somebody else can judge it"),
    Code("SPEC202", "exclusion of nothing", "No requirement and no check has this id.", "correct the id, or remove it"),
    Code("SPEC203", "stale exclusion", "What it excuses is there by now: the next time it goes missing, nobody would "
         "see.", "remove the exclusion"),
    Code("SPEC204", "exclusion has expired", "Its date has passed.", "write the proof, or decide anew and set a date"),
    Code("SPEC205", "stale baseline", "The check passes by now: the next time it fails, the baseline would hide it.",
         "remove the entry"),
    Code("SPEC206", "baseline of nothing", "No check has this id.", "correct the id, or remove the entry"),
    Code("SPEC207", "baseline without reason", "Whoever reads it later cannot tell whether it still holds.",
         "say why, so that somebody else can judge it"),
    Code("SPEC208", "baseline has expired", "Its date has passed.", "correct the adapter, or decide anew"),
    Code("SPEC209", "baseline unreadable", "An entry that cannot be read excuses nothing, or everything.",
         "write each entry once, as [[expected]] with adapter, check, reason and until"),
)  # fmt: skip

_CODE = (
    Code("SPEC301", "route that no document has", "Clients find it and rely on it; nobody has promised it.",
         "add it to the table of routes, or remove it"),
    Code("SPEC302", "route that nobody serves", "The documents promise it.", "serve it, or take it out of the table"),
    Code("SPEC303", "metric that no document has", "Dashboards are built on it; its name and labels are no contract.",
         "add it to the table of metrics, or remove it"),
    Code("SPEC304", "metric that nobody exports", "The documents promise it.",
         "export it, or take it out of the table"),
    Code("SPEC305", "error code that no document has", "Clients switch on codes; this one may change at will.",
         "add it to the table of error codes, or remove it"),
    Code("SPEC306", "error code that the code has not", "The documents promise it.",
         "define it, or take it out of the table"),
    Code("SPEC307", "word that no document has", "The code has a word in a set that the documents rule.",
         "add it to the documents, or remove it"),
    Code("SPEC308", "word that the code has not", "The documents promise it.", "add it to the code, or take it out"),
    Code("SPEC309", "place in the code that yields nothing", "The files or names that an agreement points at are not "
         "there, so the code would agree with anything.", "correct the place in the table of agreements"),
    Code("SPEC310", "route that is never served", "The documents say that this route does not exist.",
         "remove the route, or the promise"),
    Code("SPEC311", "source that cannot be read", "A file of code or tests is not valid Python, so what it proves or "
         "promises is unknown.", "correct the file"),
    Code("SPEC312", "word that cannot be read", "It is made up while the code runs, so nobody can tell by reading "
         "whether the documents have it.", "write the text itself at this place"),
)  # fmt: skip

_EVIDENCE = (
    Code("SPEC401", "too little executed", "Fewer than four of five binding checks were executed: that is no verdict.",
         "run the checks: conformance gate without --no-run, or with --evidence FILE"),
    Code("SPEC402", "evidence for other documents", "It was recorded when the documents said something else.",
         "record it anew"),
    Code("SPEC403", "evidence for nothing", "It is about a check, a broken adapter or a requirement that is not there, "
         "so it was recorded before something was renamed or taken out.", "record it anew"),
)  # fmt: skip

CODES: dict[str, Code] = {code.id: code for code in (*_DOCUMENTS, *_PROOFS, *_EXCEPTIONS, *_CODE, *_EVIDENCE)}
"""Id -> code."""
TOO_LITTLE = "SPEC401"
"""The code that stands for exit code 4."""
