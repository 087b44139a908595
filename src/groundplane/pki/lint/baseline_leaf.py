"""The Baseline Requirements on subscribers' certificates: extensions, lifetimes, policies, and what subjects say."""

from calendar import monthrange
from datetime import datetime, timedelta

from groundplane.pki.lint import oids
from groundplane.pki.lint.conditions import both, has, is_leaf, is_subscriber, not_critical
from groundplane.pki.lint.model import BASELINE_DAY, Check, Condition, Lint, Source, day, rules_of
from groundplane.pki.lint.parts import KeyUsage
from groundplane.pki.lint.view import View

_FIRST = rules_of(Source.BASELINE, BASELINE_DAY)
_PERSONS = rules_of(Source.BASELINE, day(2016, 9, 7))
_INDIVIDUALS = rules_of(Source.BASELINE, day(2015, 9, 28))  # version 1.3.1


def _policy(oid: str) -> Condition:
    return lambda view: oid in view.policy_oids


def _names(oid: str) -> Condition:
    return lambda view: view.subject.has(oid)


def _place(view: View) -> bool:
    return view.subject.has(oids.LOCALITY) or view.subject.has(oids.PROVINCE)


def _is_somebody(view: View) -> bool:
    """Whether it names an organization or a person."""
    return any(view.subject.texts(oid) for oid in (oids.ORGANIZATION, oids.GIVEN_NAME, oids.SURNAME))


def _has_text(*kinds: str) -> Condition:
    return lambda view: any(view.subject.texts(oid) for oid in kinds)


def _if_somebody(check: Condition) -> Check:
    return lambda view: not _is_somebody(view) or check(view)


def _only_of_somebody(oid: str) -> Check:
    return lambda view: _is_somebody(view) or not view.subject.texts(oid)


def _plain_url(method: str) -> Check:
    return lambda view: any(url.startswith("http://") for url in view.urls(method))


def _person_or_organization(view: View) -> bool:
    given = view.subject.has(oids.GIVEN_NAME) and view.subject.has(oids.SURNAME)
    return given or view.subject.has(oids.ORGANIZATION)


def later(start: datetime, months: int) -> datetime:
    """So many months on, by Go's calendar: the 31st of a short month is in the next."""
    month = start.month - 1 + months
    year, month = start.year + month // 12, month % 12 + 1
    last = monthrange(year, month)[1]
    return start.replace(year=year, month=month, day=min(start.day, last)) + timedelta(days=max(0, start.day - last))


def _domain_validated(name: str, oid: str) -> Lint:
    """Nobody has looked at who the subject is."""
    return _FIRST(name, both(is_leaf, _policy(oids.DOMAIN_VALIDATED)), lambda view: not view.subject.has(oid))


LINTS = (
    # Extensions.
    _FIRST("e_ext_san_missing", is_leaf, has(oids.SAN)),
    _FIRST("e_sub_cert_aia_missing", is_leaf, has(oids.AUTHORITY_ACCESS)),
    _FIRST(
        "e_sub_cert_aia_marked_critical",
        both(is_subscriber, has(oids.AUTHORITY_ACCESS)),
        not_critical(oids.AUTHORITY_ACCESS),
    ),
    _FIRST("e_sub_cert_aia_does_not_contain_ocsp_url", is_leaf, _plain_url(oids.OCSP)),
    _FIRST("w_sub_cert_aia_does_not_contain_issuing_ca_url", is_subscriber, _plain_url(oids.ISSUERS)),
    _FIRST("e_sub_cert_certificate_policies_missing", is_leaf, has(oids.POLICIES)),
    _FIRST("e_sub_cert_cert_policy_empty", is_leaf, has(oids.POLICIES)),
    _FIRST("w_sub_cert_certificate_policies_marked_critical", has(oids.POLICIES), not_critical(oids.POLICIES)),
    _FIRST("e_sub_cert_crl_distribution_points_marked_critical", has(oids.CRL_POINTS), not_critical(oids.CRL_POINTS)),
    _FIRST(
        "e_sub_cert_crl_distribution_points_does_not_contain_url",
        has(oids.CRL_POINTS),
        lambda view: any(uri.startswith("http://") for point in view.points for uri in point.uris),
    ),
    _FIRST("e_sub_cert_eku_missing", is_leaf, has(oids.EXTENDED_USAGE)),
    _FIRST(
        "e_sub_cert_eku_server_auth_client_auth_missing",
        lambda view: bool(view.usages),
        lambda view: bool({oids.SERVER_AUTH, oids.CLIENT_AUTH} & {*view.usages}),
    ),
    _FIRST(
        "w_sub_cert_eku_extra_values",
        lambda view: is_subscriber(view) and bool(view.usages),
        lambda view: {*view.usages} <= {oids.SERVER_AUTH, oids.CLIENT_AUTH, oids.EMAIL_PROTECTION},
    ),
    _FIRST(
        "e_sub_cert_key_usage_cert_sign_bit_set",
        both(is_leaf, has(oids.KEY_USAGE)),
        lambda view: KeyUsage.CERT_SIGN not in view.key_usage,
    ),
    _FIRST(
        "e_sub_cert_key_usage_crl_sign_bit_set",
        both(is_leaf, has(oids.KEY_USAGE)),
        lambda view: KeyUsage.CRL_SIGN not in view.key_usage,
    ),
    _FIRST(
        "e_ocsp_id_pkix_ocsp_nocheck_ext_not_included_server_auth",
        lambda view: oids.OCSP_SIGNING in view.usages and view.for_servers,
        has(oids.OCSP_NO_CHECK),
    ),
    rules_of(Source.BASELINE, day(2015, 4, 16))(
        "e_invalid_certificate_version",
        lambda _: True,
        lambda view: view.version == 3,  # noqa: PLR2004 - X.509 v3
    ),
    # Lifetimes.
    rules_of(Source.BASELINE, day(2016, 7, 2))(
        "e_sub_cert_valid_time_longer_than_39_months",
        is_subscriber,
        lambda view: view.not_after <= later(view.not_before, 39),
    ),
    rules_of(Source.BASELINE, day(2018, 3, 2))(
        "e_sub_cert_valid_time_longer_than_825_days",
        is_subscriber,
        lambda view: view.not_after - view.not_before <= timedelta(days=825),
    ),
    # Policies, and what they promise of the subject.
    _domain_validated("e_cab_dv_conflicts_with_locality", oids.LOCALITY),
    _domain_validated("e_cab_dv_conflicts_with_org", oids.ORGANIZATION),
    _domain_validated("e_cab_dv_conflicts_with_postal", oids.POSTAL_CODE),
    _domain_validated("e_cab_dv_conflicts_with_province", oids.PROVINCE),
    _domain_validated("e_cab_dv_conflicts_with_street", oids.STREET),
    _FIRST("e_cab_ov_requires_org", both(is_leaf, _policy(oids.ORGANIZATION_VALIDATED)), _names(oids.ORGANIZATION)),
    _FIRST("e_cert_policy_ov_requires_country", _policy(oids.ORGANIZATION_VALIDATED), _names(oids.COUNTRY)),
    _FIRST(
        "e_cert_policy_ov_requires_province_or_locality",
        both(is_subscriber, _policy(oids.ORGANIZATION_VALIDATED)),
        _place,
    ),
    _INDIVIDUALS(
        "e_cab_iv_requires_personal_name", both(is_leaf, _policy(oids.INDIVIDUAL_VALIDATED)), _person_or_organization
    ),
    _INDIVIDUALS("e_cert_policy_iv_requires_country", _policy(oids.INDIVIDUAL_VALIDATED), _names(oids.COUNTRY)),
    _INDIVIDUALS(
        "e_cert_policy_iv_requires_province_or_locality",
        both(is_subscriber, _policy(oids.INDIVIDUAL_VALIDATED)),
        _place,
    ),
    # What a subject says, and may not say.
    _PERSONS("e_sub_cert_country_name_must_appear", is_subscriber, _if_somebody(_has_text(oids.COUNTRY))),
    _PERSONS(
        "e_sub_cert_locality_name_must_appear", is_subscriber, _if_somebody(_has_text(oids.LOCALITY, oids.PROVINCE))
    ),
    _PERSONS("e_sub_cert_province_must_appear", is_subscriber, _if_somebody(_has_text(oids.LOCALITY, oids.PROVINCE))),
    _PERSONS("e_sub_cert_locality_name_must_not_appear", is_subscriber, _only_of_somebody(oids.LOCALITY)),
    _PERSONS("e_sub_cert_postal_code_must_not_appear", is_subscriber, _only_of_somebody(oids.POSTAL_CODE)),
    _PERSONS("e_sub_cert_province_must_not_appear", is_subscriber, _only_of_somebody(oids.PROVINCE)),
    _PERSONS("e_sub_cert_street_address_should_not_exist", is_subscriber, _only_of_somebody(oids.STREET)),
    _PERSONS(
        "e_sub_cert_given_name_surname_contains_correct_policy",
        lambda view: is_subscriber(view) and _has_text(oids.GIVEN_NAME, oids.SURNAME)(view),
        _policy(oids.INDIVIDUAL_VALIDATED),
    ),
    rules_of(Source.BASELINE, day(2022, 9))(
        "e_organizational_unit_name_prohibited", is_leaf, lambda view: not view.subject.texts(oids.UNIT)
    ),
    rules_of(Source.BASELINE, day(2021, 8, 16))(
        "e_subject_contains_organizational_unit_name_and_no_organization_name",
        _names(oids.UNIT),
        _names(oids.ORGANIZATION),
    ),
)
