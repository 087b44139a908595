"""The CA/Browser Forum's EV Guidelines: certificates whose subject was examined."""

from groundplane.pki.lint import domains, oids
from groundplane.pki.lint.baseline_leaf import later
from groundplane.pki.lint.conditions import has, is_subscriber
from groundplane.pki.lint.model import Condition, Source, day, rules_of
from groundplane.pki.lint.onion import is_onion, names
from groundplane.pki.lint.view import View

_EVER, _ONION = rules_of(Source.EXTENDED, None), rules_of(Source.EXTENDED, day(2015, 5))
_MONTHS, _ONION_MONTHS = 27, 15


def _extended(view: View) -> bool:
    return view.is_extended


def _subscriber(view: View) -> bool:
    return view.is_extended and is_subscriber(view)


def _names(oid: str) -> Condition:
    return lambda view: view.subject.has(oid)


def _no_wildcard(view: View) -> bool:
    """Only onion services may have them. What has no registered label (`*`, `*.com`'s suffix) is passed over."""
    for name in names(view):
        try:
            parts = domains.split(name)
        except domains.IsSuffix:
            continue
        if parts is not None and "*" in name and not name.endswith(".onion"):
            return False
    return True


LINTS = (
    _EVER("e_ev_business_category_missing", _subscriber, _names(oids.BUSINESS)),
    _EVER("e_ev_country_name_missing", _subscriber, _names(oids.COUNTRY)),
    _EVER("e_ev_organization_name_missing", _subscriber, _names(oids.ORGANIZATION)),
    _EVER("e_ev_serial_number_missing", _subscriber, lambda view: bool(view.subject.text(oids.SERIAL))),
    _EVER("e_ev_san_ip_address_present", _extended, lambda view: not view.san.ips),
    _ONION("e_ev_not_wildcard", _extended, _no_wildcard),
    rules_of(Source.EXTENDED, day(2020, 1, 31))(
        "e_ev_organization_id_missing",
        lambda view: view.is_extended and bool(view.subject.texts(oids.ORGANIZATION_ID)),
        has(oids.ORGANIZATION_IDENTIFIER),
    ),
    _EVER(
        "e_ev_valid_time_too_long",
        lambda view: view.not_before < day(2018, 3, 2) and _subscriber(view),
        lambda view: view.not_after <= later(view.not_before, _MONTHS),
    ),
    _ONION(
        "e_onion_subject_validity_time_too_large",
        lambda view: is_subscriber(view) and is_onion(view),
        lambda view: view.not_after <= later(view.not_before, _ONION_MONTHS),
    ),
)
