"""Text for a terminal: tables, bars, and colour only where a terminal shows it."""

from collections.abc import Sequence
from typing import Final, TextIO

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_BAR_CELLS: Final = 24


class Paper:
    """Writes to *stream*; plain text if it is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        encoding = (getattr(stream, "encoding", "") or "").lower().replace("-", "")
        self._block = "█" if encoding == "utf8" else "#"

    def line(self, text: str = "") -> None:
        """Write a line and show it at once."""
        print(text, file=self._stream, flush=True)

    def style(self, text: str, *names: str) -> str:
        """Return *text* in the named styles."""
        if not self._is_terminal or not names:
            return text
        codes = ";".join(_CODES[name] for name in names)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def heading(self, title: str, source: str = "") -> None:
        """Start a part; *source* says where its numbers are read from."""
        self.line()
        self.line(f"{self.style(title, 'bold')}  {self.style(source, 'dim')}".rstrip())

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows in columns: the first one to the left, numbers to the right."""
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        for number, row in enumerate((header, *rows)):
            cells = [
                cell.ljust(width) if place == 0 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            text = "  " + "   ".join(cells)
            self.line(self.style(text, "dim") if number == 0 else text)

    def bar(self, share: float) -> str:
        """Return a bar for a *share* between 0 and 1."""
        return self._block * max(1, round(share * _BAR_CELLS))
