"""Stand-ins for inference engines: real HTTP bytes, scripted behaviour, virtual time, no model.

`script` says what an engine does with a request and `double` what every stand-in offers; `http1`, `host` and `pipe`
carry the bytes; `server` is what all stand-ins have in common; each engine has a package of its own. Each stand-in is
held to recorded answers of the engine it stands for, or to clients that were written for the engine. The running
service uses none of this.
"""
