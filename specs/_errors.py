"""The one error of the loader."""


class SpecError(Exception):
    """A document is malformed; `str` is "file:line: message", which editors and terminals make clickable."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message
