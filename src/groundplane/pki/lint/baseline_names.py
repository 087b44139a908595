"""The Baseline Requirements on the names that a certificate is for: common name, DNS names, addresses, `.onion`."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address

from groundplane.pki.lint import domains, oids
from groundplane.pki.lint.conditions import always, has, is_leaf, is_subscriber, names_hosts
from groundplane.pki.lint.countries import is_country
from groundplane.pki.lint.model import (
    BASELINE_DAY,
    RFC5280_DAY,
    Check,
    Condition,
    Source,
    Status,
    day,
    rules_of,
)
from groundplane.pki.lint.onion import descriptors_fit, is_onion, onion_v2
from groundplane.pki.lint.rfc5280_alternative import no_hyphen, parsed
from groundplane.pki.lint.view import View

_FIRST, _LABELS = rules_of(Source.BASELINE, BASELINE_DAY), rules_of(Source.BASELINE, RFC5280_DAY)
_ADDRESSES_DAY = day(2015, 11)
_HOST = re.compile(r"(\*\.)?(\?\.)*([A-Za-z0-9*_-]+\.)*[A-Za-z0-9*_-]*")
_RESERVED_LABEL = re.compile(r"..--")
_BASE32 = re.compile(r"[a-zA-Z2-7]+")
_LONGEST_LABEL, _ONION_V2, _ONION_V3 = 63, 16, 56
_OTHER, _EMAIL, _DIRECTORY, _EDI, _URI, _REGISTERED = 0, 1, 4, 5, 6, 8
_V4_ZONE, _V6_ZONE = ".in-addr.arpa", ".ip6.arpa"
_V4_LABELS, _V6_LABELS = 4, 32


def _hosts(view: View) -> tuple[str, ...]:
    """The common name, if it is there and no address, and the DNS names."""
    name = view.common_name
    return (*((name,) if name and not domains.is_address(name) else ()), *view.san.dns)


def _all_hosts(holds: Callable[[str], bool]) -> Check:
    return lambda view: all(map(holds, _hosts(view)))


def _every_name(holds: Callable[[str], bool]) -> Check:
    return lambda view: all(map(holds, (view.common_name, *view.san.dns)))


def _labels_fit(name: str) -> bool:
    return all(len(label.encode("utf-8", "surrogateescape")) <= _LONGEST_LABEL for label in name.split("."))


def _whole_wildcard(name: str) -> bool:
    label = name.partition(".")[0]
    return "*" not in label or label == "*"


def _valid_top_level(name: str) -> bool:
    return domains.is_top_level(name.rpartition(".")[2])


def _reserved_labels(view: View) -> bool:
    """Two hyphens in third and fourth place are for `xn--` alone (RFC 5890, 2.3.1)."""
    labels = (label for name in view.san.dns for label in name.split("."))
    return not any(_RESERVED_LABEL.match(label) and label[:4].lower() != "xn--" for label in labels)


def _parts(holds: Callable[[domains.Parsed], bool]) -> Callable[[View], bool | Status]:
    return lambda view: parsed(_hosts(view), holds)


def _kind(kind: int) -> Check:
    return lambda view: kind not in view.san.kinds


def _still_counts(view: View) -> bool:
    return view.not_after > _ADDRESSES_DAY


def _no_reserved_constraint(view: View) -> bool:
    trees = (tree for tree in view.subtrees if tree.kind == 7 and not tree.excluded)  # noqa: PLR2004 - iPAddress
    return not any(domains.touches_reserved(tree.data) for tree in trees)


def _public_common_name(view: View) -> bool:
    found = domains.address_of(view.common_name)
    return found is None or not domains.is_reserved(found)


def _common_names(view: View) -> tuple[str, ...]:
    return view.subject.texts(oids.COMMON_NAME)


def _addresses(view: View) -> set[str]:
    return {str(domains.address(octets)) for octets in view.san.ips}


def _from_san(view: View) -> bool:
    folded = {name.casefold() for name in view.san.dns}
    return view.common_name.casefold() in folded or view.common_name in _addresses(view)


def _reversed(name: str) -> tuple[str, int, list[str]] | None:
    """A name of a reverse zone: the zone, how many labels it wants, and those it has."""
    lower = name.lower()
    for zone, wanted in ((_V4_ZONE, _V4_LABELS), (_V6_ZONE, _V6_LABELS)):
        if lower.endswith(zone):
            return zone, wanted, lower.removesuffix(zone).split(".")
    return None


def _is_reverse(view: View) -> bool:
    return any(_reversed(name) for name in (view.common_name, *view.san.dns))


def _address_of(zone: str, labels: list[str]) -> str:
    forward = labels[::-1]
    if zone == _V4_ZONE:
        return ".".join(forward)
    return ":".join("".join(forward[start : start + 4]) for start in range(0, len(forward), 4))


def _well_reversed(name: str) -> bool:
    found = _reversed(name)
    if found is None:
        return True
    zone, wanted, labels = found
    return len(labels) == wanted and domains.is_address(_address_of(zone, labels))


def _public_reversed(name: str) -> bool:
    """What is no reversed address has a rule of its own."""
    found = _reversed(name)
    if found is None or not _well_reversed(name):
        return True
    where = domains.address_of(_address_of(found[0], found[2]))
    assert where is not None
    return isinstance(where, IPv4Address) == (found[0] == _V4_ZONE) and not domains.is_reserved(where)


def _says_something(view: View) -> bool:
    """No attribute of the subject is only `-`, `.` or a blank."""
    texts = (it.text for it in view.subject.attributes if it.text is not None)
    return all(any((char.isascii() and char.isalnum()) or char > "\x7f" for char in text) for text in texts)


def _onion_address(view: View) -> Callable[[str], bool]:
    def holds(name: str) -> bool:
        if not name.endswith(".onion"):
            return True
        label = name.split(".")[-2]
        if len(label) == _ONION_V2 and not view.is_extended:
            return False
        return len(label) in {_ONION_V2, _ONION_V3} and _BASE32.fullmatch(label) is not None

    return holds


_no_underscore: Check = lambda view: not any("_" in name for name in view.san.dns)  # noqa: E731 - as the others
_there: Condition = has(oids.SAN)
LINTS = (
    # The common name.
    _FIRST("n_subject_common_name_included", is_leaf, lambda view: not view.common_name),
    _FIRST("w_extra_subject_common_names", is_subscriber, lambda view: len(_common_names(view)) < 2),  # noqa: PLR2004
    rules_of(Source.BASELINE, day(2021, 8, 25))(
        "e_subject_common_name_not_exactly_from_san",
        lambda view: is_leaf(view) and bool(_common_names(view)),
        lambda view: {*_common_names(view)} <= {*view.san.dns} | _addresses(view),
    ),
    rules_of(Source.BASELINE, BASELINE_DAY, until=day(2021, 8, 25))(
        "e_subject_common_name_not_from_san", lambda view: is_leaf(view) and bool(view.common_name), _from_san
    ),
    _FIRST("e_subject_country_not_iso", always, lambda view: all(map(is_country, view.subject.texts(oids.COUNTRY)))),
    _FIRST("e_subject_contains_noninformational_value", always, _says_something),
    # DNS names.
    _FIRST("e_dnsname_bad_character_in_label", names_hosts, _all_hosts(lambda it: _HOST.fullmatch(it) is not None)),
    _FIRST("e_dnsname_left_label_wildcard_correct", always, _every_name(_whole_wildcard)),
    _FIRST("e_dnsname_wildcard_only_in_left_label", always, _every_name(lambda it: "*" not in it.partition(".")[2])),
    _FIRST("e_dnsname_contains_bare_iana_suffix", names_hosts, _all_hosts(lambda it: not domains.is_top_level(it))),
    _FIRST("e_dnsname_empty_label", names_hosts, _all_hosts(lambda name: all(name.split(".")))),
    _FIRST("e_dnsname_label_too_long", names_hosts, _all_hosts(_labels_fit)),
    _FIRST("e_dnsname_not_valid_tld", names_hosts, _all_hosts(_valid_top_level)),
    rules_of(Source.BASELINE, day(2021, 10))(
        "e_dnsname_contains_prohibited_reserved_label", names_hosts, _reserved_labels
    ),
    _LABELS("e_dnsname_hyphen_in_sld", names_hosts, _parts(no_hyphen)),
    _LABELS("e_dnsname_underscore_in_sld", names_hosts, _parts(lambda parts: "_" not in parts.label)),
    _LABELS("w_dnsname_underscore_in_trd", names_hosts, _parts(lambda parts: "_" not in parts.left)),
    _FIRST("n_dnsname_wildcard_left_of_public_suffix", names_hosts, _parts(lambda parts: parts.label != "*")),
    rules_of(Source.BASELINE, None, until=day(2018, 12, 10))(
        "e_no_underscores_before_1_6_2", names_hosts, _no_underscore
    ),
    rules_of(Source.BASELINE, day(2019, 4))("e_underscore_not_permissible_in_dnsname", names_hosts, _no_underscore),
    # Other kinds of names.
    _FIRST("e_ext_san_directory_name_present", _there, _kind(_DIRECTORY)),
    _FIRST("e_ext_san_edi_party_name_present", _there, _kind(_EDI)),
    _FIRST("e_ext_san_other_name_present", _there, _kind(_OTHER)),
    _FIRST("e_ext_san_registered_id_present", _there, _kind(_REGISTERED)),
    _FIRST("e_ext_san_rfc822_name_present", _there, _kind(_EMAIL)),
    _FIRST("e_ext_san_uniform_resource_identifier_present", _there, _kind(_URI)),
    _LABELS(
        "w_ext_san_critical_with_subject_dn",
        _there,
        lambda view: not (view.critical(oids.SAN) and view.subject.attributes),
    ),
    # Addresses.
    _FIRST(
        "e_ext_san_contains_reserved_ip",
        _still_counts,
        lambda view: not any(domains.is_reserved(domains.address(octets)) for octets in view.san.ips),
    ),
    _FIRST(
        "e_ext_nc_intersects_reserved_ip",
        lambda view: _still_counts(view) and oids.NAME_CONSTRAINTS in view,
        _no_reserved_constraint,
    ),
    _FIRST("e_subject_contains_reserved_ip", _still_counts, _public_common_name),
    _FIRST("w_subject_contains_malformed_arpa_ip", _is_reverse, lambda view: all(map(_well_reversed, view.san.dns))),
    _FIRST("e_subject_contains_reserved_arpa_ip", _is_reverse, lambda view: all(map(_public_reversed, view.san.dns))),
    # Onion services.
    rules_of(Source.BASELINE, day(2015, 5))(
        "e_san_dns_name_onion_invalid",
        is_onion,
        lambda view: all(map(_onion_address(view), (*view.san.dns, view.common_name))),
    ),
    rules_of(Source.BASELINE, day(2015, 5))(
        "e_san_dns_name_onion_not_ev_cert",
        lambda view: view.not_before < day(2020, 3, 27) and is_subscriber(view) and is_onion(view),
        lambda view: view.is_extended,
    ),
    rules_of(Source.BASELINE, day(2017, 7, 28))(
        "e_ext_tor_service_descriptor_hash_invalid",
        lambda view: (
            oids.TOR_DESCRIPTORS in view
            or (is_subscriber(view) and is_onion(view) and view.is_extended and onion_v2(view))
        ),
        descriptors_fit,
    ),
)
