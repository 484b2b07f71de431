"""Stand-ins for inference engines: real HTTP bytes, scripted behaviour, virtual time, no model.

`script` says what an engine does with a request and `double` what every stand-in offers; `http1`, `host` and `pipe`
carry the bytes; `llamacpp` is the first engine. Each stand-in is held to recorded answers of the engine it stands for.
The running service uses none of this.
"""
