"""The wire that OpenAI made common, for every adapter whose engine speaks it: bodies out, events in.

`bodies.py` writes requests, `chunks.py` reads the streams of chat and text completions, `responses.py` those of the
Responses API, `answers.py` has what both say at the end, `models.py` reads the list of models. All of it is pure.
"""
