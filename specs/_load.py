"""Reading a folder of documents into one `Specification`.

Each document is read on its own, then ids and tables are joined: an id or a table may be defined once, and what one
table says about another has to be true. The first thing that is wrong in each document is raised as `SpecError`;
nothing is skipped.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator

from ._draft import Draft
from ._errors import Fault, SpecError
from ._files import document_names, read_text
from ._markdown import read_document
from ._model import Specification
from ._tables import KINDS
from ._toml import row_line

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from ._markdown import Block
    from ._model import Requirement


@cache
def load() -> Specification:
    """Return the project's own specification; it is read once."""
    return _load(files(__package__), "specs/")


def load_from(path: Path) -> Specification:
    """Read every `*.md` in the folder `path`, its README apart; raise `SpecError` for the first thing that is wrong."""
    return _load(path, f"{path}/")


def _load(folder: Traversable, prefix: str) -> Specification:
    requirements: dict[str, Requirement] = {}
    draft, wrong = Draft(), list[SpecError]()
    for name in document_names(folder, prefix):
        try:
            document = read_document(prefix + name, read_text(folder, name, prefix))
            for requirement in document.requirements:
                _add(requirements, requirement)
            for block in document.blocks:
                _read_block(draft, block)
        except SpecError as error:
            wrong.append(error)
    _raise_first(wrong)
    aliases = _aliases(requirements)
    _check(draft, {*requirements, *aliases})
    return _specification(draft, requirements, aliases)


def _raise_first(wrong: list[SpecError]) -> None:
    if wrong:
        first, *others = wrong
        first.others = tuple(others)
        raise first


def _add(requirements: dict[str, Requirement], new: Requirement) -> None:
    if old := requirements.get(new.id):
        message = f"{new.id} is defined already, at {old.document}:{old.line}"
        raise SpecError(new.document, new.line, message, Fault.ID_TWICE)
    requirements[new.id] = new


def _aliases(requirements: dict[str, Requirement]) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for requirement in requirements.values():
        for alias in requirement.aliases:
            if taken := requirements.get(alias) or requirements.get(aliases.get(alias, "")):
                message = f"the older id {alias} names {taken.id} already, at {taken.document}:{taken.line}"
                raise SpecError(requirement.document, requirement.line, message, Fault.ID_TWICE)
            aliases[alias] = requirement.id
    return aliases


def _read_block(draft: Draft, block: Block) -> None:
    if block.kind not in KINDS:
        message = f"unknown kind of table {block.kind}; the kinds are {', '.join(KINDS)}"
        raise block.error(message, fault=Fault.UNKNOWN_TABLE)
    attributes, read = KINDS[block.kind]
    if set(block.attributes) != set(attributes):
        message = f"a {block.kind} block has the attributes: {', '.join(attributes) or 'none'}"
        raise block.error(message, fault=Fault.UNKNOWN_TABLE)
    key = (block.kind, *(block.attributes[name] for name in attributes))
    if block.kind != "example" and (old := draft.blocks.setdefault(key, block)) is not block:
        raise block.error(f"{' '.join(key)} is there already, at {old.file}:{old.line}", fault=Fault.TWICE)
    read(draft, block)


def _check(draft: Draft, ids: set[str]) -> None:
    for boundary, order in draft.orders.items():
        block = draft.blocks["frame-order", boundary]
        described = {event for place, event in draft.schemas if place == boundary}
        if event := min(order.events ^ described, default=None):
            message = f"the event {event} has {'no schema' if event in order.events else 'no place in the order'}"
            raise block.error(message, fault=Fault.ORDER)
    for block, value in draft.examples:
        _check_example(draft, block, value)
    for kind, row in draft.worker_errors.items():
        for code in {row.code, row.code_if_blamed or row.code} - set(draft.errors):
            message = f"{kind} becomes {code}, which is no error code"
            raise draft.blocks["worker-errors",].error(message, fault=Fault.DANGLING)
    for engine, rows in draft.engine_errors.items():
        _check_kinds(draft, draft.blocks["engine-errors", engine], "error", [row.kind for row in rows])
    if draft.status_rules:
        _check_kinds(draft, draft.blocks["status-rules",], "rule", [row.kind for row in draft.status_rules])
    for index, route in enumerate(draft.routes):
        for column, name in (("takes", route.takes), ("gives", route.gives)):
            if name and ("http", name) not in draft.schemas:
                block = draft.blocks["routes",]
                message = f"{route.path}: there is no schema http {name}"
                raise block.error(message, row_line(block, "route", index, column), Fault.DANGLING)
    for key, block in draft.blocks.items():
        if key[0] == "bounds":
            _check_bounds(draft, block, ids)


def _check_example(draft: Draft, block: Block, value: object) -> None:
    schema = draft.schemas.get((block.attributes["boundary"], block.attributes["event"]))
    if schema is None:
        raise block.error("an example of something that has no schema", fault=Fault.EXAMPLE)
    if error := next(iter(Draft202012Validator(dict(schema)).iter_errors(value)), None):
        raise block.error(f"the example breaks its schema: {error.message}", fault=Fault.EXAMPLE)


def _check_kinds(draft: Draft, block: Block, table: str, kinds: list[str]) -> None:
    for index, kind in enumerate(kinds):
        if kind not in draft.worker_errors:
            line = row_line(block, table, index, "kind")
            raise block.error(f"{kind} is no kind of worker error", line, Fault.DANGLING)


def _check_bounds(draft: Draft, block: Block, ids: set[str]) -> None:
    for name, bound in draft.bounds.items():
        if f'"{name}"' in block.text and bound.requirement not in ids:
            offset = next(n for n, line in enumerate(block.text.split("\n"), 1) if f'"{bound.requirement}"' in line)
            message = f"{name} serves {bound.requirement}, which is no requirement"
            raise block.error(message, offset, Fault.DANGLING)


def _specification(draft: Draft, requirements: dict[str, Requirement], aliases: dict[str, str]) -> Specification:
    return Specification(
        requirements=requirements,
        errors=draft.errors,
        worker_errors=draft.worker_errors,
        status_rules=draft.status_rules,
        redaction_rules=draft.redaction_rules,
        redaction_contexts=draft.redaction_contexts,
        metrics=draft.metrics,
        label_budgets=draft.label_budgets,
        routes=draft.routes,
        never_served=draft.never_served,
        api_version=draft.api_version,
        bounds=draft.bounds,
        log=draft.log,
        environment=draft.environment,
        profiles=draft.profiles,
        unproved_advice=draft.unproved_advice,
        exclusions=draft.exclusions,
        agreements=draft.agreements,
        _blocks=draft.blocks,
        _tables=_tables(draft),
        _orders=draft.orders,
        _schemas=draft.schemas,
        _engine_errors=draft.engine_errors,
        _headers=draft.headers,
        _aliases=aliases,
    )


def _tables(draft: Draft) -> dict[str, list[Block]]:
    tables: dict[str, list[Block]] = {}
    for block in (*draft.blocks.values(), *(block for block, _ in draft.examples)):
        words = [block.kind, *(f"{key}={value}" for key, value in sorted(block.attributes.items()))]
        tables.setdefault(" ".join(words), []).append(block)
    return tables
