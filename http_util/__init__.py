"""HTTP for engine adapters: client, stream with deadlines, event codec, back-off, redaction, status table.

An adapter opens a client (`client.py`), makes short calls (`calls.py`) and hands its completion stream to `live.py`.
Nothing is re-exported: import the module that does the work. No engine is known by name here.
"""
