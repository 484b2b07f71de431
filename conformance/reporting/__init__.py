"""Reports of a run, as files: for other programs, for CI, for people, for a badge.

`cleaning.py` takes out of a run what may not be in a file, `recording.py` makes the record of it, a module each makes
the files of the record, `writer.py` looks for canaries and writes. `command.py` is the flag of the command line.

Implements: HTU-1004.
"""

from .record import Record, read_record
from .writer import FILES, CanaryInReport, report_files, write_report

__all__ = ["FILES", "CanaryInReport", "Record", "read_record", "report_files", "write_report"]
