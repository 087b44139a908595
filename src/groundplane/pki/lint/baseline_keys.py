"""The Baseline Requirements on keys and signatures."""

from math import gcd, prod

from groundplane.pki.lint import oids
from groundplane.pki.lint.conditions import always, is_leaf, is_root, is_subordinate
from groundplane.pki.lint.model import BASELINE_DAY, WARN, Condition, Source, Status, day, rules_of
from groundplane.pki.lint.signature import PSS
from groundplane.pki.lint.view import View

_EVER, _FIRST = rules_of(Source.BASELINE, None), rules_of(Source.BASELINE, BASELINE_DAY)
_EXPONENTS = rules_of(Source.BASELINE, day(2013, 2, 21))  # version 1.1.3
_NO_DSA_DAY = day(2020, 8, 20)  # version 1.7.1
_MODERN = rules_of(Source.BASELINE, _NO_DSA_DAY)
_NEW_ROOTS, _NEW_LEAVES = day(2011, 1), day(2014, 1)  # the end of RSA below 2048 bits
_SMALLEST, _SMALLEST_OLD, _LEAST_EXPONENT, _GOOD_EXPONENT = 2048, 1024, 3, 65537
_DSA_SIZES = {(2048, 224), (2048, 256), (3072, 256)}
_LEAST_ORDER = 244
# In DER: rsaEncryption with NULL, and the three curves by name.
_ALGORITHMS = frozenset(
    map(
        bytes.fromhex,
        (
            "300d06092a864886f70d0101010500",
            "301306072a8648ce3d020106082a8648ce3d030107",
            "301006072a8648ce3d020106052b81040022",
            "301006072a8648ce3d020106052b81040023",
        ),
    )
)
_PRIMES = prod(number for number in range(2, 752) if all(number % below for below in range(2, int(number**0.5) + 1)))


def rsa(view: View) -> bool:
    """To RSA keys."""
    return view.key.oid == oids.RSA


def _dsa(view: View) -> bool:
    return view.key.dsa is not None


def _dsa_numbers(view: View) -> tuple[int, int, int, int]:
    return view.key.dsa or (0, 0, 0, 0)


def _bits(least: int) -> Condition:
    return lambda view: view.key.modulus.bit_length() >= least


def _no_small_factor(view: View) -> bool:
    """Coprime to all primes below 752, in one step."""
    return gcd(view.key.modulus, _PRIMES) == 1


def _dsa_sizes(view: View) -> tuple[int, int]:
    p, q, _, _ = _dsa_numbers(view)
    return p.bit_length(), q.bit_length()


def _in_range(view: View) -> bool:
    p, _, _, y = _dsa_numbers(view)
    return 2 <= y <= p - 2  # noqa: PLR2004 - NIST SP 800-89, 5.3.1


def _in_subgroup(view: View) -> bool:
    p, q, _, y = _dsa_numbers(view)
    return pow(y, q, p) == 1


def _long_enough(view: View) -> bool:
    length, order = _dsa_sizes(view)
    return length >= _SMALLEST and order >= _LEAST_ORDER


def _signature(view: View) -> bool | Status:
    """SHA-1 has a rule of its own; PSS is tolerated."""
    if view.signature_oid == oids.RSA_PSS:
        return WARN if view.algorithm.whole in PSS else False
    return view.signature_oid in oids.KNOWN_SIGNATURES | oids.SHA1_SIGNATURES


LINTS = (
    _MODERN("e_algorithm_identifier_improper_encoding", always, lambda view: view.key.algorithm in _ALGORITHMS),
    _FIRST(
        "e_public_key_type_not_allowed",
        always,
        lambda view: view.key.oid in {oids.RSA, oids.DSA, oids.EC, oids.ED25519, oids.X25519},
    ),
    _EVER("e_signature_algorithm_not_supported", always, _signature),
    rules_of(Source.BASELINE, day(2016, 1))(
        "e_sub_cert_or_sub_ca_using_sha1", always, lambda view: view.signature_oid not in oids.SHA1_SIGNATURES
    ),
    rules_of(Source.BASELINE, day(2015, 1, 16))(
        "w_sub_cert_sha1_expiration_too_long",
        lambda view: is_leaf(view) and view.signature_oid in oids.SHA1_SIGNATURES,
        lambda view: view.not_after <= day(2017, 1),
    ),
    _EVER(
        "e_ec_improper_curves",
        lambda view: view.key.oid == oids.EC,
        lambda view: view.key.curve in {"P-256", "P-384", "P-521"},
    ),
    # RSA.
    _EVER(
        "e_rsa_mod_less_than_2048_bits",
        lambda view: rsa(view) and view.not_after >= _NEW_LEAVES,
        _bits(_SMALLEST),
    ),
    _EVER(
        "e_old_root_ca_rsa_mod_less_than_2048_bits",
        lambda view: rsa(view) and is_root(view) and view.not_before < _NEW_ROOTS,
        _bits(_SMALLEST),
    ),
    _EVER(
        "e_old_sub_ca_rsa_mod_less_than_1024_bits",
        lambda view: (
            rsa(view) and is_subordinate(view) and view.not_before < _NEW_ROOTS and view.not_after < _NEW_LEAVES
        ),
        _bits(_SMALLEST_OLD),
    ),
    _EVER(
        "e_old_sub_cert_rsa_mod_less_than_1024_bits",
        lambda view: rsa(view) and is_leaf(view) and view.not_after < _NEW_LEAVES,
        _bits(_SMALLEST_OLD),
    ),
    _EXPONENTS("w_rsa_mod_factors_smaller_than_752", rsa, _no_small_factor),
    _EXPONENTS("w_rsa_mod_not_odd", rsa, lambda view: view.key.modulus % 2 == 1),
    _EXPONENTS("w_rsa_public_exponent_not_in_range", rsa, lambda view: view.key.exponent >= _GOOD_EXPONENT),
    _EXPONENTS("e_rsa_public_exponent_not_odd", rsa, lambda view: view.key.exponent % 2 == 1),
    _EXPONENTS("e_rsa_public_exponent_too_small", rsa, lambda view: view.key.exponent >= _LEAST_EXPONENT),
    # DSA.
    _MODERN("e_br_prohibit_dsa_usage", always, lambda view: view.key.oid != oids.DSA),
    rules_of(Source.BASELINE, BASELINE_DAY, until=_NO_DSA_DAY)(
        "e_dsa_params_missing", _dsa, lambda view: all(_dsa_numbers(view)[:3])
    ),
    _FIRST("e_dsa_correct_order_in_subgroup", _dsa, _in_subgroup),
    _FIRST("e_dsa_unique_correct_representation", _dsa, _in_range),
    _EVER("e_dsa_improper_modulus_or_divisor_size", _dsa, lambda view: _dsa_sizes(view) in _DSA_SIZES),
    _EVER("e_dsa_shorter_than_2048_bits", _dsa, _long_enough),
)
