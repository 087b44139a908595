"""RFC 5280 on extensions: which must be critical, which belong in what certificate, and what stands in them."""

import unicodedata
from collections import Counter

from groundplane.pki.lint import domains, oids, read
from groundplane.pki.lint.conditions import always, both, critical, has, is_ca, is_leaf, not_critical
from groundplane.pki.lint.model import FATAL, RFC2459, RFC3280, RFC5280_DAY, Condition, Source, Status, day, rules_of
from groundplane.pki.lint.parts import KeyUsage
from groundplane.pki.lint.read import Malformed, Value
from groundplane.pki.lint.view import View

_FIRST, _SECOND, _THIRD = (rules_of(Source.RFC5280, since) for since in (RFC2459, RFC3280, RFC5280_DAY))
_FOURTH = rules_of(Source.RFC5280, day(2013, 1))  # RFC 6818
_EVER = rules_of(Source.RFC5280, None)
_LONGEST_TEXT = 200
_X400, _EDI, _URI, _REGISTERED = 3, 5, 6, 8
_BITS = 512  # nine of them are defined


def _texts(view: View) -> list[Value]:
    """Of the notices of its policies."""
    return [text for policy in view.policies for text in policy.texts]


def _has_texts(view: View) -> bool:
    return bool(_texts(view))


def _has_control(text: Value) -> bool:
    """Only UTF8String is looked at."""
    characters = text.content.decode("utf-8", "replace") if text.tag == read.UTF8 else ""
    return any(char < " " or "\x7f" <= char <= "\x9f" for char in characters)


def _is_normal(text: Value) -> bool:
    if text.tag not in {read.UTF8, read.BMP}:
        return True
    return unicodedata.is_normalized("NFC", text.content.decode("utf-8", "replace"))


def _octets(text: Value) -> int:
    """RFC 5280 counts characters; zlint counts the octets of UTF-8."""
    return len(text.content.decode("utf-16-be", "replace").encode()) if text.tag == read.BMP else len(text.content)


def _starts(url: str) -> bool:
    return url.lower().startswith(("http://", "ldap://"))


def _mappings(view: View) -> list[tuple[str, str]]:
    found = []
    for pair in read.sequence(view.value(oids.POLICY_MAPPINGS)):
        ours, theirs = pair.members
        found.append((read.dotted(ours.content), read.dotted(theirs.content)))
    if not found:
        raise Malformed("there is nothing in it")
    return found


def _maps_no_any_policy(view: View) -> bool | Status:
    try:
        return not any(oids.ANY_POLICY in pair for pair in _mappings(view))
    except ValueError:
        return FATAL


def _maps_own_policies(view: View) -> bool | Status:
    try:
        return {ours for ours, _ in _mappings(view)} <= {*view.policy_oids}
    except ValueError:
        return FATAL


def _is_sequence(oid: str, view: View) -> bool:
    try:
        found = read.values(view.value(oid))
    except Malformed:
        return False
    return len(found) == 1 and found[0].tag == read.SEQUENCE


def _is_filled(oid: str, view: View) -> bool:
    return bool(read.first(view.value(oid)).content)


def _path_length_belongs(view: View) -> bool | Status:
    """A path length is for CAs that may sign certificates."""
    if view.basic is None:
        return FATAL
    rest = [it for place, it in enumerate(view.basic.members) if place or it.tag != read.BOOLEAN]
    return not rest or (view.is_ca and KeyUsage.CERT_SIGN in view.key_usage)


def _right_padding(view: View) -> bool | Status:
    """The unused bits of the last octet are those after its last 1."""
    value = view.value(oids.KEY_USAGE)
    if len(value) < 4:  # noqa: PLR2004 - tag, length, unused bits, one octet
        return FATAL
    bits = int.from_bytes(value[3:])
    return value[2] == ((bits & -bits).bit_length() - 1 if bits else 0)


def _known_bits(view: View) -> bool:
    value = view.value(oids.KEY_USAGE)
    try:
        content = read.first(value, read.BIT_STRING).content
    except Malformed:
        return False
    unused, bits = (content[0], int.from_bytes(content[1:])) if content else (8, 0)
    clean = unused < 8 and not bits & (1 << unused) - 1 and (len(content) > 1 or unused == 0)  # noqa: PLR2004 - an octet's bits
    return clean and len(content) <= 9 and bits >> unused < _BITS  # noqa: PLR2004 - more does not fit Go's number


def _is_fqdn(data: bytes) -> bool:
    return domains.is_host(data.decode("utf-8", "replace").removeprefix("."))


def _no_constraint_on(kind: int) -> Condition:
    return lambda view: not any(tree.kind == kind for tree in view.subtrees)


def _distances(view: View) -> list[tuple[int, int]]:
    """Zlint looks at no URIs here."""
    return [(tree.minimum, tree.maximum) for tree in view.subtrees if tree.kind != _URI]


LINTS = (
    # Critical, or not.
    _FIRST(
        "e_basic_constraints_not_critical", both(is_ca, has(oids.BASIC_CONSTRAINTS)), critical(oids.BASIC_CONSTRAINTS)
    ),
    _FIRST("e_ext_aia_marked_critical", has(oids.AUTHORITY_ACCESS), not_critical(oids.AUTHORITY_ACCESS)),
    _SECOND("e_subject_info_access_marked_critical", has(oids.SUBJECT_ACCESS), not_critical(oids.SUBJECT_ACCESS)),
    _FIRST("e_ext_authority_key_identifier_critical", has(oids.AUTHORITY_KEY), not_critical(oids.AUTHORITY_KEY)),
    _FIRST("e_ext_subject_key_identifier_critical", has(oids.SUBJECT_KEY), not_critical(oids.SUBJECT_KEY)),
    _FIRST(
        "e_ext_subject_directory_attr_critical",
        has(oids.DIRECTORY_ATTRIBUTES),
        not_critical(oids.DIRECTORY_ATTRIBUTES),
    ),
    _SECOND("e_ext_freshest_crl_marked_critical", has(oids.FRESHEST_CRL), not_critical(oids.FRESHEST_CRL)),
    _FIRST("w_ext_crl_distribution_marked_critical", has(oids.CRL_POINTS), not_critical(oids.CRL_POINTS)),
    _FIRST("w_ext_key_usage_not_critical", has(oids.KEY_USAGE), critical(oids.KEY_USAGE)),
    _FIRST("e_ext_name_constraints_not_critical", has(oids.NAME_CONSTRAINTS), critical(oids.NAME_CONSTRAINTS)),
    _THIRD("e_ext_policy_constraints_not_critical", has(oids.POLICY_CONSTRAINTS), critical(oids.POLICY_CONSTRAINTS)),
    _FIRST("w_ext_policy_map_not_critical", has(oids.POLICY_MAPPINGS), critical(oids.POLICY_MAPPINGS)),
    _SECOND("e_inhibit_any_policy_not_critical", has(oids.INHIBIT_ANY_POLICY), critical(oids.INHIBIT_ANY_POLICY)),
    _SECOND(
        "w_eku_critical_improperly",
        has(oids.EXTENDED_USAGE),
        lambda view: not (view.critical(oids.EXTENDED_USAGE) and oids.ANY_USAGE in view.usages),
    ),
    # Identifiers of keys.
    _FIRST(
        "e_ext_authority_key_identifier_missing",
        lambda view: not view.is_root,
        lambda view: oids.AUTHORITY_KEY in view or view.self_signed,
    ),
    _FIRST(
        "e_ext_authority_key_identifier_no_key_identifier",
        always,
        lambda view: 0 in view.authority_key or view.self_signed,
    ),
    _FIRST("e_ext_subject_key_identifier_missing_ca", is_ca, has(oids.SUBJECT_KEY)),
    _FIRST("w_ext_subject_key_identifier_missing_sub_cert", is_leaf, has(oids.SUBJECT_KEY)),
    # Where to look further.
    _THIRD(
        "w_ext_aia_access_location_missing",
        lambda view: bool(view.urls(oids.ISSUERS)),
        lambda view: any(map(_starts, view.urls(oids.ISSUERS))),
    ),
    _SECOND(
        "e_distribution_point_incomplete",
        has(oids.CRL_POINTS),
        lambda view: all(point.whole or not point.reasons for point in view.points),
    ),
    _THIRD(
        "w_distribution_point_missing_ldap_or_uri",
        has(oids.CRL_POINTS),
        lambda view: any(_starts(uri) for point in view.points for uri in point.uris),
    ),
    # Policies.
    _THIRD(
        "w_ext_cert_policy_contains_noticeref",
        has(oids.POLICIES),
        lambda view: not any(policy.refers for policy in view.policies),
    ),
    _SECOND(
        "e_ext_cert_policy_disallowed_any_policy_qualifier",
        has(oids.POLICIES),
        lambda view: all({*policy.qualifiers} <= {oids.CPS, oids.USER_NOTICE} for policy in view.policies),
    ),
    _THIRD(
        "e_ext_cert_policy_duplicate",
        has(oids.POLICIES),
        lambda view: len({*view.policy_oids}) == len(view.policy_oids),
    ),
    _FOURTH(
        "e_ext_cert_policy_explicit_text_ia5_string",
        _has_texts,
        lambda view: not any(text.tag == read.IA5 for text in _texts(view)),
    ),
    _FOURTH(
        "w_ext_cert_policy_explicit_text_includes_control",
        _has_texts,
        lambda view: not any(map(_has_control, _texts(view))),
    ),
    _FOURTH("w_ext_cert_policy_explicit_text_not_nfc", _has_texts, lambda view: all(map(_is_normal, _texts(view)))),
    _FOURTH(
        "w_ext_cert_policy_explicit_text_not_utf8",
        _has_texts,
        lambda view: all(text.tag == read.UTF8 for text in _texts(view)),
    ),
    _FOURTH(
        "e_ext_cert_policy_explicit_text_too_long",
        _has_texts,
        lambda view: all(_octets(text) <= _LONGEST_TEXT for text in _texts(view)),
    ),
    _FIRST(
        "e_ext_policy_constraints_empty",
        lambda view: _is_sequence(oids.POLICY_CONSTRAINTS, view),
        lambda view: _is_filled(oids.POLICY_CONSTRAINTS, view),
    ),
    _SECOND("e_ext_policy_map_any_policy", has(oids.POLICY_MAPPINGS), _maps_no_any_policy),
    _SECOND("w_ext_policy_map_not_in_cert_policy", has(oids.POLICY_MAPPINGS), _maps_own_policies),
    # What the key is for.
    _SECOND(
        "e_ext_key_usage_cert_sign_without_ca",
        has(oids.KEY_USAGE),
        lambda view: view.is_ca or KeyUsage.CERT_SIGN not in view.key_usage,
    ),
    _THIRD("e_ext_key_usage_without_bits", has(oids.KEY_USAGE), lambda view: bool(view.key_usage)),
    _THIRD("e_key_usage_incorrect_length", has(oids.KEY_USAGE), _known_bits),
    _EVER("e_incorrect_ku_encoding", lambda view: bool(view.value(oids.KEY_USAGE)), _right_padding),
    _EVER(
        "e_superfluous_ku_encoding",
        lambda view: bool(view.value(oids.KEY_USAGE)),
        lambda view: view.value(oids.KEY_USAGE)[-1] != 0,
    ),
    # What a CA may sign.
    _SECOND("e_path_len_constraint_improperly_included", has(oids.BASIC_CONSTRAINTS), _path_length_belongs),
    _FIRST(
        "e_path_len_constraint_zero_or_less",
        lambda view: view.basic is not None,
        lambda view: view.basic is None or view.basic.path_length is None or view.basic.path_length >= 0,
    ),
    _FIRST("e_ext_name_constraints_not_in_ca", has(oids.NAME_CONSTRAINTS), is_ca),
    _THIRD(
        "e_name_constraint_empty",
        lambda view: _is_sequence(oids.NAME_CONSTRAINTS, view),
        lambda view: _is_filled(oids.NAME_CONSTRAINTS, view),
    ),
    _FIRST(
        "e_name_constraint_maximum_not_absent",
        has(oids.NAME_CONSTRAINTS),
        lambda view: not any(most for _, most in _distances(view)),
    ),
    _FIRST(
        "e_name_constraint_minimum_non_zero",
        has(oids.NAME_CONSTRAINTS),
        lambda view: not any(least for least, _ in _distances(view)),
    ),
    _THIRD(
        "e_name_constraint_not_fqdn",
        has(oids.NAME_CONSTRAINTS),
        lambda view: all(_is_fqdn(tree.data) for tree in view.subtrees if tree.kind == _URI),
    ),
    _THIRD("w_name_constraint_on_edi_party_name", has(oids.NAME_CONSTRAINTS), _no_constraint_on(_EDI)),
    _THIRD("w_name_constraint_on_registered_id", has(oids.NAME_CONSTRAINTS), _no_constraint_on(_REGISTERED)),
    _THIRD("w_name_constraint_on_x400", has(oids.NAME_CONSTRAINTS), _no_constraint_on(_X400)),
    # All of them.
    _FIRST(
        "e_ext_duplicate_extension",
        lambda view: view.version == 3,  # noqa: PLR2004 - X.509 version 3
        lambda view: max(Counter(it.oid for it in view.extensions).values(), default=1) == 1,
    ),
)
