"""Certificate transparency (RFC 6962): logs hear of a certificate before it is made, and what they say is in it.

`model` has the timestamps that logs give, and the two extensions; `submit` asks a log.
"""

from groundplane.pki.ct.model import POISON, BadTimestamp, Timestamp, timestamp_list
from groundplane.pki.ct.submit import LogFailed, submit

__all__ = ["POISON", "BadTimestamp", "LogFailed", "Timestamp", "submit", "timestamp_list"]
