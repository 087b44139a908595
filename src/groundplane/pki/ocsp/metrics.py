"""What Prometheus is told of a responder: requests by what came of them, how long they took, when its key ends.

The workers count in files that they share; see `groundplane.pki.operators.counters`.
"""

from datetime import datetime
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
_own = CollectorRegistry()  # so that nothing of another library is among them
REQUESTS = Counter("groundplane_ocsp_requests", "Requests, by what came of them.", ("outcome",), registry=_own)
SECONDS = Histogram("groundplane_ocsp_request_seconds", "How long they took.", buckets=_BUCKETS, registry=_own)
_NEWEST = "groundplane_ocsp_newest_answer"
SIGNED = Gauge(f"{_NEWEST}_seconds", "When an answer was signed last.", registry=_own, multiprocess_mode="max")
NEXT_UPDATE = Gauge(f"{_NEWEST}_next_update_seconds", "Until when it is good.", registry=_own, multiprocess_mode="max")


def signed(now: datetime, next_update: datetime) -> None:
    """An answer was signed."""
    SIGNED.set(now.timestamp())
    NEXT_UPDATE.set(next_update.timestamp())


@cache
def _counter(outcome: str) -> Counter:
    return REQUESTS.labels(outcome)  # looked for once: it takes as long as counting


def count(outcome: str, seconds: float) -> None:
    """A request was answered. `outcome` is one of a handful of words."""
    _counter(outcome).inc()
    SECONDS.observe(seconds)


def exposition(responder_ends: float) -> bytes:
    """All of it, of all workers, in Prometheus's text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    text: bytes = generate_latest(registry)
    name = "groundplane_ocsp_responder_not_after_seconds"
    text += f"# HELP {name} When the responder's certificate ends.\n# TYPE {name} gauge\n".encode()
    return text + f"{name} {responder_ends:.0f}\n".encode()
