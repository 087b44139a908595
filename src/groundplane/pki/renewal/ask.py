"""A certificate again from a CFSSL server: the same names, asked for with the pair's key; usages are its profile's."""

import secrets
import time
import warnings

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Failed, Invalid
from groundplane.pki.keys import PrivateKey
from groundplane.pki.renewal.model import RemoteCA
from groundplane.pki.renewal.reissue import Successor
from groundplane.pki.seen import load_certificate, same_key
from groundplane.pki.signer import digest_for


def ask(old: x509.Certificate, key: PrivateKey, remote: RemoteCA) -> Successor:
    """What the server makes of a request that says what `old` says. Raises Failed in the server's words, Invalid."""
    from groundplane.pki.cfssl.errors import CfsslError
    from groundplane.pki.cfssl.journal import Journal
    from groundplane.pki.cfssl.signers import SignRequest
    from groundplane.pki.cfssl.tokens import read_key
    from groundplane.pki.remote import ClientTLS, open_client, request_json
    from groundplane.pki.remote.signers import contexts
    from groundplane.system.clock import SystemClock

    journal = Journal(write=lambda _: None, clock=SystemClock().now)  # what counts of it is in the error
    tls = ClientTLS(trust=str(remote.trust or ""), certificate=str(remote.certificate or ""), key=str(remote.key or ""))
    try:
        client = open_client(remote.address, tls=contexts(tls, journal, told=False), journal=journal)
        request = SignRequest(
            csr_pem=_request(old, key), profile=remote.profile, label=remote.label, metadata=_once(time.time())
        )
        token_key = read_key(remote.auth_key) if remote.auth_key else None
        pem = client.sign(request_json(request), key=token_key)
    except CfsslError as refused:
        hint = "is it there, and may we ask it for this?"
        raise Failed(f"the server did not sign: {refused}", to=remote.address, hint=hint) from refused
    fresh = load_certificate(pem.encode(), source=remote.address)
    if not same_key(fresh, key.public_key()):
        raise Failed("the server's certificate is about another key", to=remote.address, hint="ask who runs it")
    return Successor(certificate=fresh)


def _once(now: float) -> dict[str, object]:
    """What lets a server see that it was asked for the first time (`service.replay`); CFSSL's pass it over."""
    return {"timestamp": int(now), "nonce": secrets.token_hex(16)}


def _request(old: x509.Certificate, key: PrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(old.subject)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd names are taken over as they are
            names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            builder = builder.add_extension(names.value, critical=names.critical)
    except x509.ExtensionNotFound:
        pass  # it has none, so none are asked for
    except ValueError as odd:
        raise Invalid(f"its names cannot be read: {odd}", to="certificate", hint="issue a new one") from odd
    return builder.sign(key, digest_for(key.public_key())).public_bytes(Encoding.PEM)
