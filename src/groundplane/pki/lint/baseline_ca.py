"""The CA/Browser Forum's Baseline Requirements on CAs' own certificates."""

from groundplane.pki.lint import oids, read
from groundplane.pki.lint.conditions import both, critical, has, is_ca, is_root, is_subordinate, not_critical
from groundplane.pki.lint.countries import is_country
from groundplane.pki.lint.model import (
    BASELINE_DAY,
    FATAL,
    NA,
    RFC2459,
    RFC3280,
    Condition,
    Source,
    Status,
    day,
    rules_of,
)
from groundplane.pki.lint.parts import KeyUsage
from groundplane.pki.lint.view import View

_FIRST = rules_of(Source.BASELINE, BASELINE_DAY)
_ROOTS = rules_of(Source.BASELINE, RFC2459)
_TECHNICAL = rules_of(Source.BASELINE, day(2013, 7, 29))  # version 1.1.6
_EVER = rules_of(Source.BASELINE, None)


def _sets(bit: KeyUsage) -> Condition:
    return lambda view: bit in view.key_usage


def _first_text(oid: str) -> Condition:
    """The first attribute of that kind says something."""
    return lambda view: bool([*view.subject.texts(oid), ""][0])


def _countries(view: View) -> bool | Status:
    found = view.subject.texts(oids.COUNTRY)
    return all(map(is_country, found)) if found else NA


def _no_path_length(view: View) -> bool | Status:
    """After the BOOLEAN nothing more stands."""
    if view.basic is None or (view.basic.members and view.basic.members[0].tag != read.BOOLEAN):
        return FATAL
    return len(view.basic.members) < 2  # noqa: PLR2004 - the BOOLEAN, and one more


def _says(is_a_ca: bool) -> "Condition":  # noqa: FBT001 - the answer that is right
    return lambda view: view.basic is not None and view.basic.is_ca is is_a_ca


_with_usage = both(is_ca, has(oids.KEY_USAGE))
_with_points = both(is_subordinate, has(oids.CRL_POINTS))
_with_usages = both(is_subordinate, has(oids.EXTENDED_USAGE))
LINTS = (
    rules_of(Source.BASELINE, day(2017, 6, 8))("e_ca_common_name_missing", is_ca, lambda view: bool(view.common_name)),
    _FIRST("e_ca_country_name_invalid", is_ca, _countries),
    _FIRST("e_ca_country_name_missing", is_ca, _first_text(oids.COUNTRY)),
    _FIRST("e_ca_organization_name_missing", is_ca, _first_text(oids.ORGANIZATION)),
    _FIRST("e_ca_crl_sign_not_set", _with_usage, _sets(KeyUsage.CRL_SIGN)),
    _FIRST("n_ca_digital_signature_not_set", _with_usage, _sets(KeyUsage.DIGITAL_SIGNATURE)),
    _FIRST("e_ca_key_cert_sign_not_set", _with_usage, _sets(KeyUsage.CERT_SIGN)),
    rules_of(Source.BASELINE, RFC3280)("e_ca_key_usage_missing", is_ca, lambda view: bool(view.key_usage)),
    _FIRST("e_ca_key_usage_not_critical", _with_usage, critical(oids.KEY_USAGE)),
    _FIRST(
        "e_ca_is_ca",
        both(has(oids.KEY_USAGE), _sets(KeyUsage.CERT_SIGN), has(oids.BASIC_CONSTRAINTS)),
        _says(True),
    ),
    _FIRST(
        "e_sub_cert_not_is_ca",
        both(has(oids.KEY_USAGE), lambda view: KeyUsage.CERT_SIGN not in view.key_usage, has(oids.BASIC_CONSTRAINTS)),
        _says(False),
    ),
    # Roots.
    _FIRST(
        "w_root_ca_basic_constraints_path_len_constraint_field_present",
        both(is_root, has(oids.BASIC_CONSTRAINTS)),
        _no_path_length,
    ),
    _FIRST("w_root_ca_contains_cert_policy", is_root, lambda view: oids.POLICIES not in view),
    _FIRST("e_root_ca_extended_key_usage_present", is_root, lambda view: oids.EXTENDED_USAGE not in view),
    _ROOTS("e_root_ca_key_usage_must_be_critical", both(is_root, has(oids.KEY_USAGE)), critical(oids.KEY_USAGE)),
    _ROOTS("e_root_ca_key_usage_present", is_root, has(oids.KEY_USAGE)),
    # CAs below them.
    rules_of(Source.BASELINE, BASELINE_DAY, until=day(2020, 8, 20))(
        "e_sub_ca_aia_missing", is_subordinate, has(oids.AUTHORITY_ACCESS)
    ),
    rules_of(Source.BASELINE, day(2020, 8, 20))("w_sub_ca_aia_missing", is_subordinate, has(oids.AUTHORITY_ACCESS)),
    _EVER(
        "e_sub_ca_aia_marked_critical",
        both(is_subordinate, has(oids.AUTHORITY_ACCESS)),
        not_critical(oids.AUTHORITY_ACCESS),
    ),
    _FIRST(
        "w_sub_ca_aia_does_not_contain_issuing_ca_url",
        is_subordinate,
        lambda view: any(url.startswith("http://") for url in view.urls(oids.ISSUERS)),
    ),
    _FIRST("e_sub_ca_certificate_policies_missing", is_subordinate, has(oids.POLICIES)),
    _FIRST(
        "w_sub_ca_certificate_policies_marked_critical",
        both(is_subordinate, has(oids.POLICIES)),
        not_critical(oids.POLICIES),
    ),
    _FIRST("e_sub_ca_crl_distribution_points_missing", is_subordinate, has(oids.CRL_POINTS)),
    _FIRST("e_sub_ca_crl_distribution_points_marked_critical", _with_points, not_critical(oids.CRL_POINTS)),
    _FIRST(
        "e_sub_ca_crl_distribution_points_does_not_contain_url",
        _with_points,
        lambda view: any(uri.startswith("http://") for point in view.points for uri in point.uris),
    ),
    _FIRST("n_sub_ca_eku_missing", is_subordinate, has(oids.EXTENDED_USAGE)),
    _TECHNICAL("w_sub_ca_eku_critical", _with_usages, not_critical(oids.EXTENDED_USAGE)),
    _TECHNICAL(
        "n_sub_ca_eku_not_technically_constrained",
        _with_usages,
        lambda view: bool({oids.SERVER_AUTH, oids.CLIENT_AUTH} & {*view.usages}),
    ),
    rules_of(Source.BASELINE, day(2012, 6, 8))(
        "w_sub_ca_name_constraints_not_critical",
        both(is_subordinate, has(oids.NAME_CONSTRAINTS)),
        critical(oids.NAME_CONSTRAINTS),
    ),
)
