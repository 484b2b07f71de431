"""The gate: whether specification, lock, checks, tests, broken adapters, evidence and code agree.

`facts.py` says what there is to compare, the files `*_rules.py` compare it and are pure, `gathering.py` collects
it from a folder and `command.py` is the command line. The code that is judged is read and not imported.

Implements: GATE-1001, GATE-1002, GATE-1003, GATE-1005.
"""
