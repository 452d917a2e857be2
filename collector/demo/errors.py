"""What ends the demo early."""

from collector.errors import SpanledgerError


class DemoError(SpanledgerError):
    """The demo did not go as it must; the message says what was wrong."""
