"""A certificate transparency log for tests: it takes precertificates of one CA, checks them, and signs that it did."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from groundplane.pki import der

POISON = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.3")
WHEN = 1_767_225_600_123


def public_der(key: Any) -> bytes:
    made: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return made


def without_poison(tbs: bytes) -> bytes:
    """What is signed: the certificate that is to be, before any log has spoken of it."""
    fields = list(der.parts(tbs))
    marker = der.identifier(POISON.dotted_string)
    (listed,) = der.parts(fields[-1])
    kept = [one for one in der.parts(listed) if marker not in one]
    fields[-1] = der.wrap(0xA3, der.wrap(der.SEQUENCE, b"".join(kept)))
    return der.wrap(der.SEQUENCE, b"".join(fields))


@dataclass
class Log:
    """`answers` replaces what the next calls are told: a status, headers and a body."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    seen: list[x509.Certificate] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    @property
    def id(self) -> bytes:
        return hashlib.sha256(public_der(self.key.public_key())).digest()

    def add_pre_chain(self, body: bytes) -> dict[str, object]:
        certificate, issuer = (
            x509.load_der_x509_certificate(base64.b64decode(one)) for one in json.loads(body)["chain"]
        )
        certificate.verify_directly_issued_by(issuer)
        poison = certificate.extensions.get_extension_for_oid(POISON)
        assert poison.critical
        self.seen.append(certificate)
        tbs = without_poison(certificate.tbs_certificate_bytes)
        issuer_hash = hashlib.sha256(public_der(issuer.public_key())).digest()
        signed = b"\0\0" + WHEN.to_bytes(8) + b"\0\1" + issuer_hash + len(tbs).to_bytes(3) + tbs + b"\0\0"
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        whole = b"\4\3" + len(signature).to_bytes(2) + signature
        id_, whole_ = (base64.b64encode(one).decode() for one in (self.id, whole))
        return {"sct_version": 0, "id": id_, "timestamp": WHEN, "extensions": "", "signature": whole_}


@contextmanager
def running() -> Iterator[Log]:
    log = Log()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, data = 200, {"Content-Type": "application/json"}, b""
            if log.answers:
                status, headers, data = log.answers.pop(0)
            elif self.path == "/test/ct/v1/add-pre-chain":
                data = json.dumps(log.add_pre_chain(body)).encode()
            else:
                status = 404
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        log.url = f"http://127.0.0.1:{server.server_port}/test"
        yield log
        server.shutdown()
        thread.join(5)
