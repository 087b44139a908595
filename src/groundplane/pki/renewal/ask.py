"""A certificate again from a CFSSL server: the same names, asked for with the pair's key; usages are its profile's."""

import warnings

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid
from groundplane.pki.keys import PrivateKey
from groundplane.pki.remote.ask import RemoteCA, ask
from groundplane.pki.renewal.reissue import Successor
from groundplane.pki.signer import digest_for


def ask_again(old: x509.Certificate, key: PrivateKey, ca: RemoteCA) -> Successor:
    """What the server makes of a request that says what `old` says. Raises Failed in the server's words, Invalid."""
    return Successor(certificate=ask(ca, _request(old, key), key.public_key()))


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
