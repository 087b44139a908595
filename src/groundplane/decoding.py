"""What a decoder of JSON raises for bytes that may be anyone's: msgspec lets two errors of Python's own through."""

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
