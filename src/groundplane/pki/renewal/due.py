"""When a certificate is to be renewed: some time before its end, spread out so that not all come at once."""

import hashlib
from datetime import datetime, timedelta

from groundplane.pki.lifecycle import renewal_time
from groundplane.pki.model import SeenCertificate
from groundplane.pki.renewal.model import Due, Target

_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=6)
_WHOLE = 2**64
_KEPT = 1 / 3


def due(seen: SeenCertificate, target: Target, *, now: datetime) -> Due:
    """When, and why then; a time that has passed means now.

    Never in the first third of its life, however long `before` is: each new one would be due at once.
    """
    if seen.not_after <= now:
        return Due(at=now, reason=f"it ended on {seen.not_after:%F}")
    at = renewal_time(seen.not_before, seen.not_after, renew_before=target.before)
    life = seen.not_after - seen.not_before
    at = max(at - target.jitter * _share(target, seen), seen.not_before + life * _KEPT)
    return Due(at=at, reason=f"it ends on {seen.not_after:%F %H:%M}")


def pause_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row: twice as long each time, up to six hours."""
    return min(_FIRST * (1 << min(failures - 1, 16)), _LONGEST)


def _share(target: Target, seen: SeenCertificate) -> float:
    """From 0 to 1: the same for this certificate on every start, another for every other."""
    digest = hashlib.sha256(f"{target.certificate}\0{seen.serial}".encode()).digest()
    return int.from_bytes(digest[:8]) / _WHOLE
