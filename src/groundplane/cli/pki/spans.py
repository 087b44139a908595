"""Durations on the command line: Go's (`720h`), and days, which Go has not (`30d`)."""

import argparse
import re
from datetime import timedelta

from groundplane.errors import Invalid


def span(text: str) -> timedelta:
    """For argparse's `type=`."""
    from groundplane.pki.wire.duration import parse_duration

    if found := re.fullmatch(r"([0-9]{1,6})d", text):
        return timedelta(days=int(found[1]))
    try:
        value = parse_duration(text, at="duration")
    except Invalid as bad:
        raise argparse.ArgumentTypeError(f"{bad.happened}; write 720h or 30d") from None
    if value < timedelta():
        raise argparse.ArgumentTypeError(f"{text!r} is less than nothing")
    return value
