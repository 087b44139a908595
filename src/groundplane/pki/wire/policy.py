"""CFSSL's signing policy (ca-config.json): a default profile, named profiles, keys and remotes they may refer to.

Refused, beyond what CFSSL refuses: unknown fields and usages, an expiry that is not positive, a named profile without
usages, a CA that may not sign certificates and a usage for that without a CA, a path length that looks like one and is
none.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from groundplane.pki.fitness import usage_trouble
from groundplane.pki.model import (
    USAGES,
    CAConstraint,
    CertificatePolicy,
    Linting,
    Profile,
    SigningPolicy,
)
from groundplane.pki.name import OID
from groundplane.pki.wire.document import parse_document
from groundplane.pki.wire.duration import parse_duration
from groundplane.pki.wire.json_tree import Node, nearest
from groundplane.pki.wire.names import name_constraints, name_rules
from groundplane.pki.wire.references import check_profile, check_sections, remote_of

_SECTIONS = ("auth_keys", "remotes")
_TOP = ("signing", "auth_keys", "remotes", "ocsp")
_OWN = ("names", "name_constraints")  # CFSSL passes them over
_BUILT = (
    *("usages", "expiry", "backdate", "not_before", "not_after", "ca_constraint", "issuer_urls", "ocsp_url"),
    *("crl_url", "ocsp_no_check", "name_whitelist", "Policies", "copy_extensions", "allowed_extensions"),
    *("CSRWhitelist", "ClientProvidesSerialNumbers", "ct_log_servers"),
    *("lint_error_level", "ignored_lints", "ignored_lint_sources"),
    *_OWN,
)
# These do nothing when a local CA signs: the first two are about requests that come over HTTP, and CFSSL itself never
# reads the third.
_WITHOUT_EFFECT = ("auth_key", "prev_auth_key", "cert_store")
_ELSEWHERE = ("remote", "auth_remote")
REQUEST_FIELDS = (
    *("Subject", "PublicKeyAlgorithm", "PublicKey", "SignatureAlgorithm", "DNSNames", "IPAddresses"),
    *("EmailAddresses", "URIs"),
)
QUALIFIERS = ("id-qt-cps", "id-qt-unotice")
_DOTTED = re.compile(r"(?:[01]\.[1-3]?[0-9]|2\.(?:0|[1-9][0-9]{0,8}))(?:\.(?:0|[1-9][0-9]{0,17}))+")
_REFERENCES = {"auth_key": "auth_keys", "prev_auth_key": "auth_keys"}
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_LONGEST_OID = 128
_EARLIEST = 1950  # X.509 dates begin there
_DEFAULT_USAGES = ("signing", "key encipherment", "server auth", "client auth")
_DEFAULT_EXPIRY = timedelta(hours=8760)


def parse_policy(data: bytes, *, source: str, strict: bool = True) -> SigningPolicy:
    """Read a ca-config.json; `source` is its name in errors. Raises Invalid."""
    top = parse_document(data, source=source, strict=strict)
    fields = top.fields(_TOP)
    if "signing" not in fields:
        raise top.refuse('there is no "signing" field', hint='add {"signing": {"default": {"expiry": "8760h"}}}')
    if strict:
        check_sections(fields)
    named = {section: dict(fields[section].items()) if section in fields else {} for section in _SECTIONS}
    signing = fields["signing"].fields(("default", "profiles"))
    if "default" in signing:
        default = _profile(signing["default"], "default", named)
    else:
        default = Profile(name="default", expiry=_DEFAULT_EXPIRY, usages=_DEFAULT_USAGES, at=f"{source}: the default")
    profiles = {
        name: _with_default_urls(_profile(node, name, named), default)
        for name, node in (signing["profiles"].items() if "profiles" in signing else ())
    }
    return SigningPolicy(default=default, profiles=profiles, source=source)


def _profile(node: Node, name: str, named: Mapping[str, Mapping[str, Node]]) -> Profile:
    fields = node.fields((*_BUILT, *_WITHOUT_EFFECT, *_ELSEWHERE), own=_OWN)
    _check_references(fields, named)
    if node.strict:
        check_profile(fields)
    remote = bool(fields.keys() & {"remote", "auth_remote"})
    usages = _usages(fields["usages"]) if "usages" in fields else ()
    if node.strict and not usages and not remote and name != "default":
        raise node.refuse("this profile has no usages", hint='add "usages": ["server auth", "client auth"], or others')
    expiry = _span(fields["expiry"]) if "expiry" in fields else None
    start, end = (_instant(fields[key]) if key in fields else None for key in ("not_before", "not_after"))
    if expiry is None and not remote:
        raise node.refuse('there is no "expiry"', hint='add "expiry": "8760h", or another lifetime')
    if start and end and end <= start:
        raise fields["not_after"].refuse("this is not after not_before", hint="swap or mend the two")
    constraint = _ca_constraint(fields["ca_constraint"]) if "ca_constraint" in fields else CAConstraint()
    found = Profile(
        name=name,
        expiry=expiry,
        usages=usages,
        backdate=_backdate(fields["backdate"]) if "backdate" in fields else None,
        not_before=start,
        not_after=end,
        ca_constraint=constraint,
        issuer_urls=tuple(_url(url) for url in fields["issuer_urls"].elements()) if "issuer_urls" in fields else (),
        ocsp_url=_url(fields["ocsp_url"]) if "ocsp_url" in fields else "",
        crl_url=_url(fields["crl_url"]) if "crl_url" in fields else "",
        ocsp_no_check=_flag(fields, "ocsp_no_check"),
        name_whitelist=_pattern(fields["name_whitelist"]) if "name_whitelist" in fields else "",
        policies=tuple(_policy(element) for element in fields["Policies"].elements()) if "Policies" in fields else (),
        copy_extensions=_flag(fields, "copy_extensions"),
        allowed_extensions=tuple(map(_oid, fields["allowed_extensions"].elements()))
        if "allowed_extensions" in fields
        else (),
        request_fields=_request_fields(fields["CSRWhitelist"]) if "CSRWhitelist" in fields else None,
        client_serial=_flag(fields, "ClientProvidesSerialNumbers"),
        name_rules=name_rules(fields["names"]) if "names" in fields else None,
        name_constraints=name_constraints(fields["name_constraints"]) if "name_constraints" in fields else None,
        ct_logs=tuple(map(_url, fields["ct_log_servers"].elements())) if "ct_log_servers" in fields else (),
        lint=_linting(fields),
        remote=remote_of(fields, named),
        at=node.at,
    )
    if node.strict and usages and not remote:  # another server has its own mind about what it signs
        trouble, mend = usage_trouble(found.key_usages, is_ca=constraint.is_ca)
        if trouble:
            raise fields["usages"].refuse(trouble, hint=mend)
    return found


def _linting(fields: Mapping[str, Node]) -> Linting | None:
    """CFSSL documents the level as a number, and reads zlint's words alone; both are taken here."""
    if not fields.keys() & {"lint_error_level", "ignored_lints", "ignored_lint_sources"}:
        return None
    from groundplane.pki.lint.model import LEVELS, SOURCES

    level = _level(fields["lint_error_level"], LEVELS) if "lint_error_level" in fields else 0
    names, sources = (
        [(node, node.text().strip()) for node in fields[key].elements()] if key in fields else []
        for key in ("ignored_lints", "ignored_lint_sources")
    )
    for node, source in sources:
        if source not in SOURCES:
            raise node.refuse(f"unknown source of lints {source!r}", hint=nearest(source, SOURCES))
    if names:
        from groundplane.pki.lint.registry import is_known
        from groundplane.pki.lint.registry import nearest as nearest_lint

        for node, name in names:
            if not is_known(name):
                raise node.refuse(f"unknown lint {name!r}", hint=nearest_lint(name))
    if level == 0:
        return None
    return Linting(
        level=level,
        ignored=frozenset(name for _, name in names),
        ignored_sources=frozenset(source for _, source in sources),
    )


def _level(node: Node, words: Mapping[str, int]) -> int:
    if isinstance(node.value, str):
        if node.value not in words:
            raise node.refuse(f"{node.value!r} is no result of a lint", hint=nearest(node.value, words))
        return words[node.value]
    level = node.integer()
    if level not in words.values():
        raise node.refuse(
            f"{level} is no level of lints", hint="write 0 (do not look) to 7, such as 5: no worse than warn"
        )
    return level


def _with_default_urls(profile: Profile, default: Profile) -> Profile:
    """Only these three are inherited from the default, as in CFSSL."""
    return replace(
        profile,
        issuer_urls=profile.issuer_urls or default.issuer_urls,
        ocsp_url=profile.ocsp_url or default.ocsp_url,
        crl_url=profile.crl_url or default.crl_url,
    )


def _check_references(fields: Mapping[str, Node], named: Mapping[str, Mapping[str, Node]]) -> None:
    for key, section in _REFERENCES.items():
        if key in fields and fields[key].text() and fields[key].text() not in named[section]:
            node = fields[key]
            raise node.refuse(f"{node.text()!r} is not in {section}", hint=nearest(node.text(), named[section]))


def _usages(node: Node) -> tuple[str, ...]:
    found: list[str] = []
    for element in node.elements():
        word = element.text()
        if word in USAGES or (node.strict and _is_oid(word)):
            found.append(word)
        elif node.strict:
            raise element.refuse(f"unknown usage {word!r}", hint=nearest(word, USAGES))
    return tuple(found)


def _span(node: Node) -> timedelta:
    span = parse_duration(node.text(), at=node.at)
    if span <= timedelta():
        raise node.refuse("a lifetime must be more than nothing", hint="write one such as 8760h")
    return span


def _backdate(node: Node) -> timedelta | None:
    if not node.strict and node.value == "":
        return None
    span = parse_duration(node.text(), at=node.at)
    if node.strict and span < timedelta():
        raise node.refuse("a certificate cannot be backdated into the future", hint="write one such as 5m")
    return span


def _instant(node: Node) -> datetime:
    text = node.text()
    if _RFC3339.fullmatch(text):
        try:
            instant = datetime.fromisoformat(text.upper()).astimezone(UTC).replace(microsecond=0)
        except (ValueError, OverflowError):
            pass  # no such date: refused below, in the same words
        else:
            if instant.year >= _EARLIEST:
                return instant
    raise node.refuse(f"{text!r} is not a date a certificate can have", hint="write one such as 2030-01-31T00:00:00Z")


def _ca_constraint(node: Node) -> CAConstraint:
    fields = node.fields(("is_ca", "max_path_len", "max_path_len_zero"))
    is_ca, length = _flag(fields, "is_ca"), path_length(fields, "max_path_len", "max_path_len_zero")
    if node.strict and is_ca and length is None and "max_path_len" in fields:
        # Go's zero value: CFSSL takes it for a field that was left out.
        happened = "0 alone is no limit: such a CA may have any number of CAs below it"
        raise fields["max_path_len"].refuse(happened, hint='add "max_path_len_zero": true for none, or remove it')
    return CAConstraint(is_ca=is_ca, path_length=length)


def _flag(fields: Mapping[str, Node], name: str) -> bool:
    return fields[name].boolean() if name in fields else False


def _request_fields(node: Node) -> frozenset[str]:
    fields = node.fields(REQUEST_FIELDS)
    return frozenset(name for name in fields if _flag(fields, name))


def _policy(node: Node) -> CertificatePolicy:
    fields = node.fields(("ID", "Qualifiers"))
    if "ID" not in fields:
        raise node.refuse("a policy needs an identifier", hint='add "ID": "1.2.3"')
    qualifiers = fields["Qualifiers"].elements() if "Qualifiers" in fields else []
    return CertificatePolicy(oid=_oid(fields["ID"]), qualifiers=tuple(map(_qualifier, qualifiers)))


def _qualifier(node: Node) -> tuple[str, str]:
    fields = node.fields(("Type", "Value"))
    kind, value = (fields[name].text() if name in fields else "" for name in ("Type", "Value"))
    if kind not in QUALIFIERS and (node.strict or kind):
        raise node.refuse(f"unknown kind of qualifier {kind!r}", hint=nearest(kind, QUALIFIERS))
    if kind == QUALIFIERS[0] and not value.isascii():
        raise node.refuse(f"{value!r} has characters that a URL cannot have", hint="percent-encode them")
    return kind, value


def _oid(node: Node) -> OID:
    text = node.text()
    if not _is_oid(text):
        raise node.refuse(f"{text!r} is no object identifier", hint="write dotted numbers, such as 1.3.6.1.4.1.44363")
    return OID(text)


def _is_oid(text: str) -> bool:
    return len(text) <= _LONGEST_OID and _DOTTED.fullmatch(text) is not None


def path_length(fields: Mapping[str, Node], name: str, zero: str) -> int | None:
    """CFSSL's pair of fields: a positive length is that length; 0 means none at all, unless `zero` says 0 is meant.

    Not strict: -1 means none at all whatever `zero` says, and what is less no certificate can have.
    """
    length = fields[name].integer() if name in fields else 0
    least = 0 if name not in fields or fields[name].strict else -(2**31)
    if not least <= length < 2**31:
        raise fields[name].refuse(f"{length} is no path length", hint="write 0 or more")
    if length == -1:
        return None
    none_below = fields[zero].boolean() if zero in fields else False
    if length:
        return length
    return 0 if none_below else None


def _url(node: Node) -> str:
    url = node.text()
    if not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        raise node.refuse(f"{url!r} has characters that a URL cannot have", hint="percent-encode them")
    return url


def _pattern(node: Node) -> str:
    pattern = node.text()
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as bad:
        raise node.refuse(f"this is not a regular expression: {bad}", hint="mend it there") from bad
    return pattern
