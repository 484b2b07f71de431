"""The command line: `up`, `serve`, `run`, `config`, `version`.

`parser.py` knows every command and its flags; the module that does the work is imported only when its command runs.
"""
