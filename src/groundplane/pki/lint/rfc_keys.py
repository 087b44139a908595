"""RFC 3279, 5480 and 8813 on what a key of a kind may be used for."""

from groundplane.pki.lint import oids
from groundplane.pki.lint.conditions import has, is_ca, is_subscriber
from groundplane.pki.lint.model import BASELINE_DAY, RFC3280, Source, day, rules_of
from groundplane.pki.lint.parts import KeyUsage
from groundplane.pki.lint.view import View

_SIGNS = KeyUsage.CERT_SIGN | KeyUsage.CRL_SIGN
_ENCIPHERS = KeyUsage.KEY_ENCIPHERMENT | KeyUsage.DATA_ENCIPHERMENT
_AGREES = KeyUsage.KEY_AGREEMENT | KeyUsage.ENCIPHER_ONLY | KeyUsage.DECIPHER_ONLY
_OF_EC_SUBSCRIBERS = KeyUsage.DIGITAL_SIGNATURE | KeyUsage.CONTENT_COMMITMENT | KeyUsage.KEY_AGREEMENT


def _rsa_ca(view: View) -> bool:
    return view.key.oid == oids.RSA and oids.KEY_USAGE in view and is_ca(view)


def _rsa_subscriber(view: View) -> bool:
    return view.key.oid == oids.RSA and oids.KEY_USAGE in view and is_subscriber(view)


def _ec(view: View) -> bool:
    return view.key.oid == oids.EC and has(oids.KEY_USAGE)(view)


def _ec_subscriber(view: View) -> bool:
    return view.key.oid == oids.EC and is_subscriber(view)


_RSA = rules_of(Source.RFC3279, RFC3280)
LINTS = (
    _RSA("e_rsa_allowed_ku_ca", _rsa_ca, lambda view: not view.key_usage & _AGREES),
    _RSA("e_rsa_allowed_ku_ee", _rsa_subscriber, lambda view: not view.key_usage & (_AGREES | _SIGNS)),
    _RSA(
        "e_rsa_allowed_ku_no_encipherment_ca",
        _rsa_ca,
        lambda view: not (view.key_usage & _SIGNS and view.key_usage & _ENCIPHERS),
    ),
    rules_of(Source.RFC5480, BASELINE_DAY)(
        "n_ecdsa_ee_invalid_ku", _ec_subscriber, lambda view: not view.key_usage & ~_OF_EC_SUBSCRIBERS
    ),
    rules_of(Source.RFC8813, day(2020, 8))("e_ecdsa_allowed_ku", _ec, lambda view: not view.key_usage & _ENCIPHERS),
)
