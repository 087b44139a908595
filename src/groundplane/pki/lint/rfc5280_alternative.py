"""RFC 5280 (and 5891) on the alternative names of subject and issuer, and on DNS names everywhere."""

import unicodedata
from collections.abc import Callable

from groundplane.pki.lint import domains, oids, read
from groundplane.pki.lint.conditions import both, has, names_hosts, not_critical
from groundplane.pki.lint.model import (
    NA,
    RFC2459,
    RFC5280_DAY,
    Check,
    Condition,
    Lint,
    Source,
    Status,
    day,
    rules_of,
)
from groundplane.pki.lint.parts import GeneralNames
from groundplane.pki.lint.view import View

_FIRST, _THIRD = (rules_of(Source.RFC5280, since) for since in (RFC2459, RFC5280_DAY))
_PUNYCODE = rules_of(Source.RFC5280, day(2003, 3))  # RFC 3490
_NORMAL = rules_of(Source.RFC5891, day(2018, 5))  # RFC 8399
_LONGEST_NAME, _LONGEST_LABEL = 253, 63
_DNS = 2


def _dns_ascii(oid: str) -> Check:
    """Every dNSName is of IA5String's characters."""
    return lambda view: all(it.content.isascii() for it in read.sequence(view.value(oid)) if it.number == _DNS)


def _nothing_empty(oid: str) -> Check:
    return lambda view: all(it.content for it in read.sequence(view.value(oid)))


def _has_entries(oid: str) -> Check:
    return lambda view: len(view.value(oid)) > 1 and view.value(oid) != b"\x30\x00"


def _email_fits(email: str) -> bool:
    """No name beside the address, and no comment."""
    return not email or not (" " in email or email.startswith("<") or email.endswith(")"))


def _uri_reads(uri: str) -> bool:
    parts = domains.url_of(uri)
    return (
        parts is not None
        and bool(parts.scheme)
        and uri.partition(":")[2].partition("?")[0].partition("#")[0] not in {"", "//"}
    )


def _uri_absolute(uri: str) -> bool:
    parts = domains.url_of(uri)
    return parts is not None and bool(parts.scheme)


def _host_is_named(host: str) -> bool:
    return domains.is_host(host) or domains.is_address(host)


def _subject_host(uri: str) -> bool:
    """A URI has a host's full name, or is of a kind that has none (`urn:…`)."""
    parts = domains.url_of(uri)
    if not uri or parts is None:
        return not uri
    opaque = bool(parts.scheme) and not uri.partition(":")[2].startswith("/")
    return opaque or (bool(parts.netloc) and _host_is_named(parts.netloc.rpartition("@")[2]))


def _issuer_host(uri: str) -> bool:
    """The same, but what has no host is refused too."""
    parts = domains.url_of(uri)
    return not uri or (parts is not None and _host_is_named((parts.netloc.rpartition("@")[2]).partition(":")[0]))


def _pair(kind: str, oid: str, names: Callable[[View], GeneralNames], host: Callable[[str], bool]) -> tuple[Lint, ...]:
    """The rules that are the same for the names of both; `kind` is `san` or `ian`."""
    there = has(oid)
    return (
        _FIRST(f"e_ext_{kind}_dns_not_ia5_string", there, _dns_ascii(oid)),
        _FIRST(f"e_ext_{kind}_empty_name", there, _nothing_empty(oid)),
        _FIRST(f"e_ext_{kind}_no_entries", there, _has_entries(oid)),
        _FIRST(f"e_ext_{kind}_rfc822_format_invalid", there, lambda view: all(map(_email_fits, names(view).emails))),
        _FIRST(f"e_ext_{kind}_space_dns_name", there, lambda view: " " not in names(view).dns),
        _THIRD(f"e_ext_{kind}_uri_format_invalid", there, lambda view: all(map(_uri_reads, names(view).uris))),
        _THIRD(f"e_ext_{kind}_uri_host_not_fqdn_or_ip", there, lambda view: all(map(host, names(view).uris))),
        _THIRD(f"e_ext_{kind}_uri_not_ia5", there, lambda view: all(uri.isascii() for uri in names(view).uris)),
        _THIRD(f"e_ext_{kind}_uri_relative", there, lambda view: all(map(_uri_absolute, names(view).uris))),
    )


def parsed(names: tuple[str, ...], holds: Callable[[domains.Parsed], bool]) -> bool | Status:
    """Whether it holds for the parts of all names; NA once one has no parts."""
    for name in names:
        try:
            parts = domains.split(name)
        except domains.IsSuffix:
            return NA
        if parts is None:
            return NA
        if not holds(parts):
            return False
    return True


def no_hyphen(parts: domains.Parsed) -> bool:
    """The registered label neither begins nor ends with one."""
    return not (parts.label.startswith("-") or parts.label.endswith("-"))


def _labels(view: View) -> list[str]:
    return [label for name in view.san.dns for label in name.split(".")]


def _unicode(label: str) -> str:
    """What a label in Punycode says. Raises ValueError."""
    return label[4:].encode("ascii").decode("punycode")


def _international(view: View) -> list[str]:
    return [label for label in _labels(view) if label[:4].lower() == "xn--"]


def _all_decode(view: View) -> bool:
    try:
        return all(_unicode(label) for label in _international(view))
    except ValueError:
        return False


def _all_normal(view: View) -> bool | Status:
    for label in _international(view):
        try:
            if not unicodedata.is_normalized("NFC", _unicode(label)):
                return False
        except ValueError:
            return NA
    return True


_there: Condition = has(oids.SAN)
LINTS = (
    *_pair("san", oids.SAN, lambda view: view.san, _subject_host),
    *_pair("ian", oids.IAN, lambda view: view.ian, _issuer_host),
    _FIRST("w_ext_ian_critical", has(oids.IAN), not_critical(oids.IAN)),
    _FIRST(
        "e_ext_san_not_critical_without_subject",
        _there,
        lambda view: bool(view.subject.attributes) or view.critical(oids.SAN),
    ),
    _THIRD(
        "e_ext_san_dns_name_too_long",
        both(_there, lambda view: bool(view.san.dns)),
        lambda view: all(len(name.encode("utf-8", "surrogateescape")) <= _LONGEST_NAME for name in view.san.dns),
    ),
    _THIRD("e_rfc_dnsname_empty_label", names_hosts, lambda view: all(_labels(view))),
    _THIRD(
        "e_rfc_dnsname_label_too_long",
        names_hosts,
        lambda view: all(len(label) <= _LONGEST_LABEL for label in _labels(view)),
    ),
    _THIRD("e_rfc_dnsname_hyphen_in_sld", names_hosts, lambda view: parsed(view.san.dns, no_hyphen)),
    _THIRD(
        "e_rfc_dnsname_underscore_in_sld",
        names_hosts,
        lambda view: parsed(view.san.dns, lambda parts: "_" not in parts.label),
    ),
    _THIRD(
        "w_rfc_dnsname_underscore_in_trd",
        names_hosts,
        lambda view: parsed(view.san.dns, lambda parts: "_" not in parts.left),
    ),
    _PUNYCODE("e_international_dns_name_not_unicode", _there, _all_decode),
    _NORMAL("e_international_dns_name_not_nfc", _there, _all_normal),
)
