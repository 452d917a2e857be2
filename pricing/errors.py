"""What pricing raises: only for price files, never for calls."""


class PriceBookError(ValueError):
    """A price file cannot be used; the message starts with its place."""

    def __init__(self, message: str, *, path: str, line: int | None = None) -> None:
        place = path if line is None else f"{path}:{line}"
        super().__init__(f"{place}: {message}")
        self.path = path
        self.line = line
