"""The engine that comes with the service: the real llama.cpp server as a supervised child process.

Nothing is imported here: the child process passes through this package and stays small.
"""
