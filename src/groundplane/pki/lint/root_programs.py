"""What Mozilla and Apple ask of CAs in their root stores."""

from datetime import timedelta

from groundplane.pki.lint import oids
from groundplane.pki.lint.baseline_keys import rsa
from groundplane.pki.lint.baseline_leaf import later
from groundplane.pki.lint.conditions import always, has, is_subordinate
from groundplane.pki.lint.model import NOTICE, Source, Status, day, rules_of
from groundplane.pki.lint.signature import PSS
from groundplane.pki.lint.view import View

_MOZILLA_2_4 = rules_of(Source.MOZILLA, day(2017, 2, 28))
_MOZILLA_2_7 = rules_of(Source.MOZILLA, day(2020, 1))
_APPLE = rules_of(Source.APPLE, day(2020, 9))
_P256, _P384 = (
    bytes.fromhex(each)
    for each in ("301306072a8648ce3d020106082a8648ce3d030107", "301006072a8648ce3d020106052b81040022")
)
_WITH_SHA256, _WITH_SHA384 = (bytes.fromhex("300a06082a8648ce3d0403" + last) for last in ("02", "03"))
_LONGEST_P256, _LONGEST_P384 = 72, 104  # octets of a signature


def _digest_of_curve(view: View) -> bool:
    """SHA-256 with P-256, SHA-384 with P-384: told by the signature's size."""
    size = len(view.signature)
    if size <= _LONGEST_P256:
        return view.algorithm.whole == _WITH_SHA256
    return size <= _LONGEST_P384 and view.algorithm.whole == _WITH_SHA384


def _narrow_usages(view: View) -> bool:
    """Some usages, not any, and not servers together with e-mail."""
    usages = {*view.usages}
    return bool(usages) and oids.ANY_USAGE not in usages and not {oids.EMAIL_PROTECTION, oids.SERVER_AUTH} <= usages


def _days(limit: int, view: View) -> bool:
    return view.not_after + timedelta(seconds=1) - view.not_before <= timedelta(days=limit)


def _server(view: View) -> bool:
    return view.for_servers and not view.is_ca


def _timestamps_wanted(view: View) -> int:
    for months, wanted in ((15, 2), (27, 3), (39, 4)):
        if view.not_after < later(view.not_before, months):
            return wanted
    return 5


def _enough_timestamps(view: View) -> bool | Status:
    """Only a notice, whatever its name says: they may come another way."""
    return len({*view.logs}) >= _timestamps_wanted(view) or NOTICE


LINTS = (
    rules_of(Source.MOZILLA, day(2017, 3, 31))("e_prohibit_dsa_usage", always, lambda view: view.key.oid != oids.DSA),
    rules_of(Source.MOZILLA, day(2019, 1))("n_mp_allowed_eku", is_subordinate, _narrow_usages),
    rules_of(Source.MOZILLA, day(2013, 7, 26))(
        "e_mp_authority_key_identifier_correct",
        has(oids.AUTHORITY_KEY),
        lambda view: not (view.authority_key.get(0) and view.authority_key.get(1)),
    ),
    _MOZILLA_2_7(
        "e_mp_ecdsa_pub_key_encoding_correct",
        lambda view: view.key.oid == oids.EC,
        lambda view: view.key.algorithm in {_P256, _P384},
    ),
    _MOZILLA_2_7(
        "e_mp_ecdsa_signature_encoding_correct",
        lambda view: view.signature_oid in oids.EC_SIGNATURES,
        _digest_of_curve,
    ),
    _MOZILLA_2_7("e_mp_rsassa-pss_in_spki", always, lambda view: view.key.oid != oids.RSA_PSS),
    _MOZILLA_2_7(
        "e_mp_rsassa-pss_parameters_encoding_in_signature_algorithm_correct",
        lambda view: view.signature_oid == oids.RSA_PSS,
        lambda view: view.algorithm.whole in PSS,
    ),
    _MOZILLA_2_4("e_mp_exponent_cannot_be_one", rsa, lambda view: view.key.exponent != 1),
    _MOZILLA_2_4(
        "e_mp_modulus_must_be_2048_bits_or_more",
        rsa,
        lambda view: view.key.modulus.bit_length() >= 2048,  # noqa: PLR2004 - as its name says
    ),
    _MOZILLA_2_4(
        "e_mp_modulus_must_be_divisible_by_8",
        rsa,
        lambda view: view.key.modulus.bit_length() % 8 == 0,
    ),
    _APPLE("e_tls_server_cert_valid_time_longer_than_398_days", _server, lambda view: _days(398, view)),
    _APPLE("w_tls_server_cert_valid_time_longer_than_397_days", _server, lambda view: _days(397, view)),
    rules_of(Source.APPLE, day(2018, 10, 15))(
        "w_ct_sct_policy_count_unsatisfied",
        lambda view: view.is_subscriber and oids.POISON not in view,
        _enough_timestamps,
    ),
)
