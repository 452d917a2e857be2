"""Errors of the wire formats."""


class DecodeError(ValueError):
    """What was received is not the message it should be."""
