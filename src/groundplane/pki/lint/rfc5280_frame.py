"""RFC 5280 on what stands around names and extensions: version, serial number, dates, algorithms."""

from groundplane.pki.lint import oids, read
from groundplane.pki.lint.conditions import always
from groundplane.pki.lint.model import FATAL, RFC2459, RFC3280, RFC5280_DAY, Source, Status, day, rules_of
from groundplane.pki.lint.read import Malformed, Value
from groundplane.pki.lint.view import View

_FIRST, _SECOND, _THIRD = (rules_of(Source.RFC5280, since) for since in (RFC2459, RFC3280, RFC5280_DAY))
_MOST_OCTETS = 20
_GENERALIZED_FROM = day(2050, 1)


def _of(view: View, tag: int) -> list[bytes]:
    return [time.content for time in view.times if time.tag == tag]


def _has_time(tag: int, view: View) -> bool:
    return bool(_of(view, tag))


def _full_length(content: bytes) -> int:
    """How long a GeneralizedTime with seconds is: with Z, with an offset, or with neither."""
    if content.endswith(b"Z"):
        return 15
    return 19 if content[-5:-4] in {b"-", b"+"} else 14


def _in_its_time(view: View) -> bool | Status:
    """GeneralizedTime is for 2050 and later."""
    for time in view.times:
        if time.tag == read.GENERALIZED:
            try:
                if read.instant(time) < _GENERALIZED_FROM:
                    return False
            except Malformed:
                return FATAL
    return True


def _null_parameters(algorithm: Value, oid: str) -> bool:
    """An RSA algorithm's identifier ends with NULL (RFC 4055, 1.2)."""
    members = algorithm.members
    return (
        len(members) == 2  # noqa: PLR2004 - the identifier and NULL
        and read.dotted(members[0].content) == oid
        and members[1].whole == b"\x05\x00"
    )


def _same_algorithm(view: View) -> bool:
    return view.algorithm.content == view.outer_algorithm.content


LINTS = (
    _FIRST(
        "e_cert_extensions_version_not_3",
        always,
        lambda view: view.version == 3 or not view.extensions,  # noqa: PLR2004 - X.509 version 3
    ),
    _THIRD("e_cert_contains_unique_identifier", always, lambda view: not view.unique_identifiers),
    _THIRD(
        "e_cert_unique_identifier_version_not_2_or_3",
        always,
        lambda view: not view.unique_identifiers or view.version in {2, 3},
    ),
    _THIRD("e_cert_sig_alg_not_match_tbs_sig_alg", always, _same_algorithm),
    _SECOND(
        "e_serial_number_longer_than_20_octets",
        always,
        lambda view: len(view.serial.content) <= _MOST_OCTETS,
    ),
    _SECOND("e_serial_number_not_positive", always, lambda view: read.integer(view.serial.content) > 0),
    _THIRD(
        "e_spki_rsa_encryption_parameter_not_null",
        lambda view: view.key.oid == oids.RSA,
        lambda view: _null_parameters(read.first(view.key.algorithm), oids.RSA),
    ),
    _THIRD(
        "e_tbs_signature_rsa_encryption_parameter_not_null",
        lambda view: view.signature_oid in oids.RSA_SIGNATURES,
        lambda view: _null_parameters(view.algorithm, view.signature_oid),
    ),
    _FIRST(
        "e_generalized_time_does_not_include_seconds",
        lambda view: _has_time(read.GENERALIZED, view),
        lambda view: all(len(it) >= _full_length(it) for it in _of(view, read.GENERALIZED)),
    ),
    _FIRST(
        "e_generalized_time_includes_fraction_seconds",
        lambda view: _has_time(read.GENERALIZED, view),
        lambda view: all(len(it) <= _full_length(it) for it in _of(view, read.GENERALIZED)),
    ),
    _FIRST(
        "e_generalized_time_not_in_zulu",
        lambda view: _has_time(read.GENERALIZED, view),
        lambda view: all(it.endswith(b"Z") for it in _of(view, read.GENERALIZED)),
    ),
    _FIRST(
        "e_utc_time_does_not_include_seconds",
        lambda view: _has_time(read.UTC_TIME, view),
        lambda view: all(len(it) in {13, 17} for it in _of(view, read.UTC_TIME)),
    ),
    _FIRST(
        "e_utc_time_not_in_zulu",
        lambda view: _has_time(read.UTC_TIME, view),
        lambda view: all(it.endswith(b"Z") for it in _of(view, read.UTC_TIME)),
    ),
    _FIRST("e_wrong_time_format_pre2050", always, _in_its_time),
)
