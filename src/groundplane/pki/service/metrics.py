"""What Prometheus is told: calls, how long they took, what was issued and revoked, when the CA ends.

The workers count in files that they share (prometheus_client's multiprocess mode), so any of them can tell the whole.
`PROMETHEUS_MULTIPROC_DIR` must be set before this module is imported.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from groundplane.pki.server.model import Answer, Endpoint

_OK = 200
_ISSUING, _REVOKING = frozenset({"sign", "authsign", "newcert"}), "revoke"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_own = CollectorRegistry()  # so that nothing of another library is among them
CALLS = Counter("groundplane_pki_requests", "Calls of the API.", ("endpoint", "code"), registry=_own)
SECONDS = Histogram(
    "groundplane_pki_request_seconds", "How long calls took.", ("endpoint",), buckets=_BUCKETS, registry=_own
)
ISSUED = Counter("groundplane_pki_certificates_issued", "Certificates that were issued.", registry=_own)
REVOKED = Counter("groundplane_pki_certificates_revoked", "Certificates that were revoked.", registry=_own)
REFUSED = Counter(
    "groundplane_pki_refused", "Calls that the caller may not make.", ("endpoint", "status"), registry=_own
)
UNTOLD = Counter("groundplane_pki_audit_failures", "Lines of the audit that could not be written.", registry=_own)


def count(endpoint: Endpoint, answer: Answer, *, seconds: float) -> None:
    """A call was answered."""
    CALLS.labels(endpoint.name, str(answer.code)).inc()
    SECONDS.labels(endpoint.name).observe(seconds)
    if answer.code == _OK and endpoint.name in _ISSUING:
        ISSUED.inc()
    if answer.code == _OK and endpoint.name == _REVOKING:
        REVOKED.inc()


def refused(endpoint: str, status: int, known: frozenset[str]) -> None:
    """A call was not let through. Names that are no endpoint's count as one, or strangers could fill the memory."""
    REFUSED.labels(endpoint if endpoint in known else "unknown", str(status)).inc()


def exposition(ca_ends: float | None) -> bytes:
    """All of it, of all workers, in Prometheus's text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    text: bytes = generate_latest(registry)
    if ca_ends is not None:
        name = "groundplane_pki_ca_not_after_seconds"
        text += f"# HELP {name} When the CA's certificate ends.\n# TYPE {name} gauge\n{name} {ca_ends:.0f}\n".encode()
    return text
