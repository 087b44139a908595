"""For every rule a certificate that breaks it, and one that keeps it: `(name, breaks, keeps)`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from groundplane.pki import der
from groundplane.pki.lint import oids
from tests.unit.pki_lint import made
from tests.unit.pki_lint.made import (
    AGREE,
    BMP,
    CERTS,
    DAY,
    ENCIPHER,
    IA5,
    LISTS,
    NULL,
    PRINTABLE,
    SIGN,
    START,
    UTF8,
    Attribute,
    general_names,
    intermediate,
    leaf,
    name,
    named,
    oid,
    root,
    seq,
    tagged,
    text,
    usages,
)

Row = tuple[str, bytes, bytes]
ORG, C, L, ST, CN = oids.ORGANIZATION, oids.COUNTRY, oids.LOCALITY, oids.PROVINCE, oids.COMMON_NAME
GOOD, CA, ROOT = leaf(), intermediate(), root()
YEAR = 365 * DAY
EXTENDED = "2.23.140.1.1"
V2, V3 = "a" * 16 + ".onion", "a" * 56 + ".onion"


def at(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def subject(*rdns: Attribute) -> bytes:
    """A leaf whose subject says more."""
    return leaf(subject=name((CN, "www.example.com"), *rdns))


def dns(*hosts: str | bytes) -> bytes:
    """A leaf for further names than its common name."""
    return leaf(san=general_names(["www.example.com", *hosts]))


def uri(value: str) -> bytes:
    return leaf(san=general_names(["www.example.com"], uris=[value]))


def marked(kind: str, value: bytes, maker: Callable[..., bytes] = leaf) -> tuple[bytes, bytes]:
    """With the extension critical, and not."""
    return maker({kind: (True, value)}), maker({kind: (False, value)})


def unmarked(kind: str, value: bytes, maker: Callable[..., bytes] = leaf) -> tuple[bytes, bytes]:
    """With the extension not critical, and critical."""
    critical, plain = marked(kind, value, maker)
    return plain, critical


def ian(**names: Any) -> bytes:
    return leaf({oids.IAN: (False, general_names(**names))})


def policy(*them: str, qualifiers: bytes = b"", **parts: Any) -> bytes:
    return leaf({oids.POLICIES: (False, made.policies(*them, qualifiers=qualifiers))}, **parts)


def notice(value: bytes) -> bytes:
    return policy(oids.DOMAIN_VALIDATED, qualifiers=made.notice(value))


def constraints(*trees: bytes, side: int = 0) -> bytes:
    return intermediate({oids.NAME_CONSTRAINTS: (True, seq(tagged(side, *trees)))})


def tree(kind: int, data: bytes, *limits: bytes) -> bytes:
    return seq(tagged(kind, data, constructed=kind in {3, 4, 5}), *limits)


def key_usage(number: int, maker: Callable[..., bytes] = leaf, **parts: Any) -> bytes:
    return maker({oids.KEY_USAGE: (True, made.bits(number))}, **parts)


def raw_usage(value: bytes) -> bytes:
    return leaf({oids.KEY_USAGE: (True, value)})


def times(start: bytes, end: bytes) -> bytes:
    return leaf(times=(start, end))


def utc(value: str) -> bytes:
    return der.wrap(23, value.encode())


def generalized(value: str) -> bytes:
    return der.wrap(24, value.encode())


def longest(rule: str, kind: str, limit: int) -> Row:
    return (rule, subject((kind, "a" * (limit + 1))), subject((kind, "a" * limit)))


def mapping(*pairs: tuple[str, str], critical: bool = True) -> bytes:
    value = seq(*(seq(oid(ours), oid(theirs)) for ours, theirs in pairs))
    return intermediate({oids.POLICY_MAPPINGS: (critical, value)})


GOOD_UTC, END_UTC = utc("260101000000Z"), utc("260330000000Z")
FAR = (generalized("20600101000000Z"), generalized("20600301000000Z"))
RSA: dict[str, Any] = {"key": made.rsa_spki()}

FRAME: list[Row] = [
    ("e_cert_extensions_version_not_3", leaf(version=1), GOOD),
    ("e_cert_contains_unique_identifier", leaf(unique=tagged(1, b"\0ab", constructed=False)), GOOD),
    (
        "e_cert_unique_identifier_version_not_2_or_3",
        leaf(unique=tagged(2, b"\0ab", constructed=False), version=1),
        leaf(unique=tagged(2, b"\0ab", constructed=False)),
    ),
    ("e_cert_sig_alg_not_match_tbs_sig_alg", leaf(outer=made.ECDSA_SHA1), GOOD),
    ("e_serial_number_longer_than_20_octets", leaf(serial=der.integer(1 << 160)), leaf(serial=der.integer(1 << 158))),
    ("e_serial_number_not_positive", leaf(serial=der.integer(-1)), GOOD),
    ("e_spki_rsa_encryption_parameter_not_null", leaf(key=made.rsa_spki(parameters=b"")), leaf(**RSA)),
    (
        "e_tbs_signature_rsa_encryption_parameter_not_null",
        leaf(algorithm=seq(oid("1.2.840.113549.1.1.11"))),
        leaf(algorithm=made.RSA_SHA256),
    ),
    ("e_generalized_time_does_not_include_seconds", times(generalized("206001010000Z"), FAR[1]), times(*FAR)),
    ("e_generalized_time_includes_fraction_seconds", times(generalized("20600101000000.5Z"), FAR[1]), times(*FAR)),
    ("e_generalized_time_not_in_zulu", times(FAR[0], generalized("20600301000000+0100")), times(*FAR)),
    ("e_utc_time_does_not_include_seconds", times(utc("2601010000Z"), END_UTC), GOOD),
    ("e_utc_time_not_in_zulu", times(utc("260101000000+0100"), END_UTC), GOOD),
    ("e_wrong_time_format_pre2050", times(GOOD_UTC, generalized("20260330000000Z")), times(*FAR)),
    ("e_validity_time_not_positive", times(END_UTC, GOOD_UTC), GOOD),
    ("e_invalid_certificate_version", leaf(version=2), GOOD),
]
NAMES: list[Row] = [
    ("e_issuer_field_empty", leaf(issuer=seq()), GOOD),
    ("e_ca_subject_field_empty", intermediate(subject=seq()), CA),
    ("e_subject_empty_without_san", leaf({oids.SAN: None}, subject=seq()), leaf(subject=seq())),
    ("e_issuer_dn_country_not_printable_string", leaf(issuer=name((C, "US", UTF8))), GOOD),
    ("e_subject_dn_country_not_printable_string", subject((C, "US", UTF8)), subject((C, "US"))),
    ("e_subject_dn_serial_number_not_printable_string", subject((oids.SERIAL, "7", UTF8)), subject((oids.SERIAL, "7"))),
    longest("e_subject_dn_serial_number_max_length", oids.SERIAL, 64),
    ("e_subject_dn_not_printable_characters", subject((ORG, "a\x07b", UTF8)), GOOD),
    ("e_subject_printable_string_badalpha", subject((ORG, "a@b", PRINTABLE)), subject((ORG, "a@b", UTF8))),
    ("e_subject_common_name_max_length", leaf(subject=name((CN, "a" * 65))), leaf(subject=name((CN, "a" * 64)))),
    longest("e_subject_email_max_length", oids.EMAIL, 255),
    longest("e_subject_given_name_max_length", oids.GIVEN_NAME, 32768),
    longest("w_subject_given_name_recommended_max_length", oids.GIVEN_NAME, 64),
    longest("e_subject_surname_max_length", oids.SURNAME, 32768),
    longest("w_subject_surname_recommended_max_length", oids.SURNAME, 64),
    longest("e_subject_locality_name_max_length", L, 128),
    longest("e_subject_organization_name_max_length", ORG, 64),
    longest("e_subject_organizational_unit_name_max_length", oids.UNIT, 64),
    longest("e_subject_postal_code_max_length", oids.POSTAL_CODE, 16),
    longest("e_subject_state_name_max_length", ST, 128),
    longest("e_subject_street_address_max_length", oids.STREET, 128),
    ("w_issuer_dn_leading_whitespace", leaf(issuer=name((ORG, " a"))), GOOD),
    ("w_issuer_dn_trailing_whitespace", leaf(issuer=name((ORG, "a\u3000", UTF8))), GOOD),
    ("w_subject_dn_leading_whitespace", subject((ORG, "\u00a0a", UTF8)), subject((oids.EMAIL, " a", IA5))),
    ("w_subject_dn_trailing_whitespace", subject((ORG, "a ")), GOOD),
    ("w_multiple_issuer_rdn", leaf(issuer=name([(ORG, "a"), (ORG, "b")])), GOOD),
    ("n_multiple_subject_rdn", leaf(subject=name([(CN, "www.example.com"), (ORG, "b")])), subject((ORG, "b"))),
    ("e_subject_country_not_iso", subject((C, "ZZ")), subject((C, "de"))),
    ("e_subject_contains_noninformational_value", subject((ORG, "-.")), subject((ORG, "ü", UTF8))),
    ("n_subject_common_name_included", GOOD, leaf(subject=name((ORG, "a")))),
    ("w_extra_subject_common_names", subject((CN, "b.example.com")), GOOD),
    ("e_subject_common_name_not_exactly_from_san", leaf(subject=name((CN, "WWW.example.com"))), GOOD),
    (
        "e_subject_common_name_not_from_san",
        leaf(subject=name((CN, "b.example.com")), start=at(2020)),
        leaf(subject=name((CN, "WWW.example.com")), start=at(2020)),
    ),
]


def _both(rule: str, broken: dict[str, Any], kept: dict[str, Any]) -> list[Row]:
    """A rule that is the same for the names of subject (`san`) and issuer (`ian`)."""
    return [
        (rule.replace("*", "san"), leaf(san=general_names(**broken)), leaf(san=general_names(**kept))),
        (rule.replace("*", "ian"), ian(**broken), ian(**kept)),
    ]


HOST = {"dns": ["www.example.com"]}
ALTERNATIVE: list[Row] = [
    *_both("e_ext_*_dns_not_ia5_string", {"dns": ["ü.de".encode()]}, HOST),
    *_both("e_ext_*_empty_name", {"dns": ["www.example.com", ""]}, HOST),
    *_both("e_ext_*_no_entries", {}, HOST),
    *_both("e_ext_*_rfc822_format_invalid", {"emails": ["B <b@example.com>"]}, {"emails": ["b@example.com"]}),
    *_both("e_ext_*_space_dns_name", {"dns": [" "]}, HOST),
    *_both("e_ext_*_uri_format_invalid", {"uris": ["http://"]}, {"uris": ["http://example.com/a"]}),
    *_both("e_ext_*_uri_host_not_fqdn_or_ip", {"uris": ["http://host/a"]}, {"uris": ["http://example.com/a"]}),
    *_both("e_ext_*_uri_not_ia5", {"uris": ["http://example.com/ü"]}, {"uris": ["http://example.com/a"]}),
    *_both("e_ext_*_uri_relative", {"uris": ["/a/b"]}, {"uris": ["http://example.com/a"]}),
    *_both("e_*_bare_wildcard", {"dns": ["a.*"]}, HOST),
    *_both("e_*_dns_name_includes_null_char", {"dns": ["a\0b.com"]}, HOST),
    *_both("e_*_dns_name_starts_with_period", {"dns": [".example.com"]}, HOST),
    *_both("e_*_wildcard_not_first", {"dns": ["a*.example.com"]}, {"dns": ["*.example.com"]}),
    ("w_ext_ian_critical", *marked(oids.IAN, general_names(["a.example.com"]))),
    ("w_ian_iana_pub_suffix_empty", ian(dns=["example.com"]), ian(dns=["www.example.com"])),
    ("n_san_iana_pub_suffix_empty", dns("co.uk"), dns("example.co.uk")),
    ("n_san_dns_name_duplicate", dns("WWW.example.com"), GOOD),
    ("n_contains_redacted_dnsname", dns("*.?.example.com"), GOOD),
    (
        "e_ext_san_not_critical_without_subject",
        leaf(subject=seq()),
        leaf({oids.SAN: (True, general_names(["www.example.com"]))}, subject=seq()),
    ),
    ("e_ext_san_dns_name_too_long", dns(".".join(["a" * 60] * 4) + ".example.com"), GOOD),
    ("e_rfc_dnsname_empty_label", dns("a..example.com"), GOOD),
    ("e_rfc_dnsname_label_too_long", dns("a" * 64 + ".example.com"), dns("a" * 63 + ".example.com")),
    ("e_rfc_dnsname_hyphen_in_sld", dns("-example.com"), dns("-a.example.com")),
    ("e_rfc_dnsname_underscore_in_sld", dns("ex_ample.com"), dns("a_b.example.com")),
    ("w_rfc_dnsname_underscore_in_trd", dns("a_b.example.com"), dns("ex_ample.com")),
    ("e_international_dns_name_not_unicode", dns("xn--99999999999.com"), dns("xn--bcher-kva.de")),
    ("e_international_dns_name_not_nfc", dns("xn--u-ccb.com"), dns("xn--bcher-kva.de")),
    ("e_ext_san_missing", leaf({oids.SAN: None}), GOOD),
    ("w_ext_san_critical_with_subject_dn", *marked(oids.SAN, general_names(["www.example.com"]))),
    ("e_ext_san_directory_name_present", leaf(san=general_names(more=tagged(4, made.ROOT))), GOOD),
    ("e_ext_san_edi_party_name_present", leaf(san=general_names(more=tagged(5, tagged(1, text("a"))))), GOOD),
    ("e_ext_san_other_name_present", leaf(san=general_names(more=tagged(0, oid("1.2.3"), tagged(0, text("a"))))), GOOD),
    ("e_ext_san_registered_id_present", leaf(san=general_names(more=tagged(8, b"\x2a\3", constructed=False))), GOOD),
    ("e_ext_san_rfc822_name_present", leaf(san=general_names(emails=["b@example.com"])), GOOD),
    ("e_ext_san_uniform_resource_identifier_present", uri("http://example.com/"), GOOD),
    (
        "e_ext_san_contains_reserved_ip",
        leaf(san=general_names(ips=[b"\x0a\0\0\1"])),
        leaf(san=general_names(ips=[b"\1" * 4])),
    ),
]
HOSTS: list[Row] = [
    ("e_dnsname_bad_character_in_label", named("a b.example.com"), GOOD),
    ("e_dnsname_left_label_wildcard_correct", dns("a*.example.com"), dns("*.example.com")),
    ("e_dnsname_wildcard_only_in_left_label", dns("a.*.example.com"), dns("*.example.com")),
    ("e_dnsname_contains_bare_iana_suffix", dns("com"), GOOD),
    ("e_dnsname_empty_label", named("a..example.com"), GOOD),
    ("e_dnsname_label_too_long", named("a" * 64 + ".example.com"), GOOD),
    ("e_dnsname_not_valid_tld", named("etcd.internal"), dns("xn--bcher-kva.xn--p1ai")),
    ("e_dnsname_contains_prohibited_reserved_label", dns("ab--c.example.com"), dns("xn--bcher-kva.de")),
    ("e_dnsname_hyphen_in_sld", named("example-.com"), GOOD),
    ("e_dnsname_underscore_in_sld", named("ex_ample.com"), GOOD),
    ("w_dnsname_underscore_in_trd", named("a_b.example.com"), GOOD),
    ("n_dnsname_wildcard_left_of_public_suffix", dns("*.co.uk"), dns("*.example.co.uk")),
    ("e_no_underscores_before_1_6_2", named("a_b.example.com", start=at(2017)), named("a.example.com", start=at(2017))),
    ("e_underscore_not_permissible_in_dnsname", dns("a_b.example.com"), GOOD),
    ("e_subject_contains_reserved_ip", leaf(subject=name((CN, "10.0.0.1"))), leaf(subject=name((CN, "1.1.1.1")))),
    ("w_subject_contains_malformed_arpa_ip", dns("300.1.1.1.in-addr.arpa"), dns("4.3.2.1.in-addr.arpa")),
    ("e_subject_contains_reserved_arpa_ip", dns("1.0.0.10.in-addr.arpa"), dns("4.3.2.1.in-addr.arpa")),
    ("e_san_dns_name_onion_invalid", dns("short.onion"), dns(V3)),
    (
        "e_san_dns_name_onion_not_ev_cert",
        named(V2, start=at(2018)),
        leaf(
            {oids.POLICIES: (False, made.policies(EXTENDED))},
            san=general_names([V2]),
            subject=name((CN, V2)),
            start=at(2018),
        ),
    ),
    ("e_onion_subject_validity_time_too_large", named(V3, end=START + 2 * YEAR), named(V3)),
]


def tor(uri: str = f"https://{V2}", digest: str = "2.16.840.1.101.3.4.2.1", octets: int = 32) -> bytes:
    descriptor = seq(text(uri, UTF8), seq(oid(digest)), der.bits(bytes(octets)))
    return leaf({oids.TOR_DESCRIPTORS: (False, seq(descriptor))}, san=general_names([V2]), subject=name((CN, V2)))


HOSTS.append(("e_ext_tor_service_descriptor_hash_invalid", tor(octets=20), tor()))

ACCESS, NO_POINT = made.access(), made.points("ldaps://a/")
ANY_CRITICAL = {oids.EXTENDED_USAGE: (True, usages(oids.ANY_USAGE))}
EXTENSIONS: list[Row] = [
    ("e_basic_constraints_not_critical", *unmarked(oids.BASIC_CONSTRAINTS, made.basic(ca=True), intermediate)),
    ("e_ext_aia_marked_critical", *marked(oids.AUTHORITY_ACCESS, ACCESS)),
    ("e_subject_info_access_marked_critical", *marked(oids.SUBJECT_ACCESS, ACCESS)),
    ("e_ext_authority_key_identifier_critical", *marked(oids.AUTHORITY_KEY, made.AUTHORITY)),
    ("e_ext_subject_key_identifier_critical", *marked(oids.SUBJECT_KEY, made.KEY_ID)),
    ("e_ext_subject_directory_attr_critical", *marked(oids.DIRECTORY_ATTRIBUTES, seq())),
    ("e_ext_freshest_crl_marked_critical", *marked(oids.FRESHEST_CRL, made.points("http://a.com/"))),
    ("w_ext_crl_distribution_marked_critical", *marked(oids.CRL_POINTS, made.points("http://a.com/"))),
    ("w_ext_key_usage_not_critical", *unmarked(oids.KEY_USAGE, made.bits(SIGN))),
    (
        "e_ext_name_constraints_not_critical",
        *unmarked(oids.NAME_CONSTRAINTS, seq(tagged(0, tree(2, b"a.com"))), intermediate),
    ),
    (
        "e_ext_policy_constraints_not_critical",
        *unmarked(oids.POLICY_CONSTRAINTS, seq(tagged(0, b"\1", constructed=False)), intermediate),
    ),
    ("w_ext_policy_map_not_critical", mapping(("1.2", "1.3"), critical=False), mapping(("1.2", "1.3"))),
    ("e_inhibit_any_policy_not_critical", *unmarked(oids.INHIBIT_ANY_POLICY, der.integer(0), intermediate)),
    ("w_eku_critical_improperly", leaf(ANY_CRITICAL), GOOD),
    ("e_ext_authority_key_identifier_missing", leaf({oids.AUTHORITY_KEY: None}), GOOD),
    ("e_ext_authority_key_identifier_no_key_identifier", leaf({oids.AUTHORITY_KEY: (False, seq())}), ROOT),
    ("e_ext_subject_key_identifier_missing_ca", intermediate({oids.SUBJECT_KEY: None}), CA),
    ("w_ext_subject_key_identifier_missing_sub_cert", leaf({oids.SUBJECT_KEY: None}), GOOD),
    ("w_ext_aia_access_location_missing", leaf({oids.AUTHORITY_ACCESS: (False, made.access(issuer="ftp://a"))}), GOOD),
    (
        "e_distribution_point_incomplete",
        leaf({oids.CRL_POINTS: (False, seq(seq(tagged(1, b"\1\6", constructed=False))))}),
        GOOD,
    ),
    ("w_distribution_point_missing_ldap_or_uri", leaf({oids.CRL_POINTS: (False, NO_POINT)}), GOOD),
    ("w_ext_cert_policy_contains_noticeref", notice(seq(text("org"), seq(der.integer(1)))), notice(text("a"))),
    (
        "e_ext_cert_policy_disallowed_any_policy_qualifier",
        policy("1.2.3", qualifiers=seq(oid("1.2.4"), text("a"))),
        policy("1.2.3", qualifiers=seq(oid(oids.CPS), text("http://a", IA5))),
    ),
    ("e_ext_cert_policy_duplicate", policy("1.2.3", "1.2.3"), policy("1.2.3", "1.2.4")),
    ("e_ext_cert_policy_explicit_text_ia5_string", notice(text("a", IA5)), notice(text("a"))),
    ("w_ext_cert_policy_explicit_text_includes_control", notice(text("a\x07")), notice(text("a"))),
    ("w_ext_cert_policy_explicit_text_not_nfc", notice(text("u\u0308")), notice(text("ü"))),
    ("w_ext_cert_policy_explicit_text_not_utf8", notice(text("a", BMP)), notice(text("a"))),
    ("e_ext_cert_policy_explicit_text_too_long", notice(text("a" * 201)), notice(text("a" * 200))),
    (
        "e_ext_policy_constraints_empty",
        intermediate({oids.POLICY_CONSTRAINTS: (True, seq())}),
        intermediate({oids.POLICY_CONSTRAINTS: (True, seq(tagged(0, b"\1", constructed=False)))}),
    ),
    ("e_ext_policy_map_any_policy", mapping((oids.ANY_POLICY, "1.3")), mapping(("1.2", "1.3"))),
    ("w_ext_policy_map_not_in_cert_policy", mapping(("1.2", "1.3")), mapping((oids.DOMAIN_VALIDATED, "1.3"))),
    ("e_ext_key_usage_cert_sign_without_ca", key_usage(CERTS), CA),
    ("e_ext_key_usage_without_bits", raw_usage(b"\3\2\7\0"), GOOD),
    ("e_key_usage_incorrect_length", raw_usage(b"\3\3\3\x80\x18"), GOOD),
    ("e_incorrect_ku_encoding", raw_usage(b"\3\2\5\x80"), GOOD),
    ("e_superfluous_ku_encoding", raw_usage(b"\3\3\7\x80\0"), GOOD),
    (
        "e_path_len_constraint_improperly_included",
        leaf({oids.BASIC_CONSTRAINTS: (True, made.basic(length=0))}),
        CA,
    ),
    (
        "e_path_len_constraint_zero_or_less",
        intermediate({oids.BASIC_CONSTRAINTS: (True, made.basic(ca=True, length=-1))}),
        CA,
    ),
    (
        "e_ext_name_constraints_not_in_ca",
        leaf({oids.NAME_CONSTRAINTS: (True, seq(tagged(0, tree(2, b"a.com"))))}),
        constraints(tree(2, b"a.com")),
    ),
    ("e_name_constraint_empty", intermediate({oids.NAME_CONSTRAINTS: (True, seq())}), constraints(tree(2, b"a.com"))),
    (
        "e_name_constraint_maximum_not_absent",
        constraints(tree(2, b"a.com", tagged(1, b"\1", constructed=False))),
        constraints(tree(2, b"a.com")),
    ),
    (
        "e_name_constraint_minimum_non_zero",
        constraints(tree(2, b"a.com", tagged(0, b"\1", constructed=False))),
        constraints(tree(2, b"a.com")),
    ),
    ("e_name_constraint_not_fqdn", constraints(tree(6, b"host")), constraints(tree(6, b".example.com"))),
    ("w_name_constraint_on_edi_party_name", constraints(tree(5, tagged(1, text("a")))), constraints(tree(2, b"a.com"))),
    ("w_name_constraint_on_registered_id", constraints(tree(8, b"\x2a\3")), constraints(tree(2, b"a.com"))),
    ("w_name_constraint_on_x400", constraints(tree(3, seq())), constraints(tree(2, b"a.com"))),
    (
        "e_ext_nc_intersects_reserved_ip",
        constraints(tree(7, b"\x0a\0\0\0\xff\0\0\0")),
        constraints(tree(7, b"\1\1\1\0\xff\xff\xff\0")),
    ),
    ("e_ext_duplicate_extension", leaf(more=[(oids.SUBJECT_KEY, False, made.KEY_ID)]), GOOD),
]
KEYS: list[Row] = [
    ("e_rsa_allowed_ku_ca", key_usage(CERTS | AGREE, intermediate, **RSA), intermediate(**RSA)),
    ("e_rsa_allowed_ku_ee", key_usage(SIGN | AGREE, **RSA), leaf(**RSA)),
    ("e_rsa_allowed_ku_no_encipherment_ca", key_usage(CERTS | ENCIPHER, intermediate, **RSA), intermediate(**RSA)),
    ("n_ecdsa_ee_invalid_ku", key_usage(SIGN | ENCIPHER), key_usage(SIGN | AGREE)),
    ("e_ecdsa_allowed_ku", key_usage(SIGN | ENCIPHER), GOOD),
    ("e_algorithm_identifier_improper_encoding", leaf(key=made.other_spki(oids.ED25519)), GOOD),
    ("e_public_key_type_not_allowed", leaf(key=made.other_spki("1.2.3.4")), leaf(key=made.other_spki(oids.ED25519))),
    ("e_signature_algorithm_not_supported", leaf(algorithm=seq(oid(oids.ED25519))), GOOD),
    ("e_sub_cert_or_sub_ca_using_sha1", leaf(algorithm=made.ECDSA_SHA1), GOOD),
    (
        "w_sub_cert_sha1_expiration_too_long",
        leaf(algorithm=made.ECDSA_SHA1),
        leaf(algorithm=made.ECDSA_SHA1, start=at(2015, 2), end=at(2016, 2)),
    ),
    ("e_ec_improper_curves", leaf(key=made.curve_spki("1.3.132.0.33")), GOOD),
    ("e_rsa_mod_less_than_2048_bits", leaf(key=made.rsa_spki((1 << 1023) + 1)), leaf(**RSA)),
    (
        "e_old_root_ca_rsa_mod_less_than_2048_bits",
        made.rsa_root(1024, start=at(2009), end=at(2010)),
        made.rsa_root(2048, start=at(2009), end=at(2010)),
    ),
    (
        "e_old_sub_ca_rsa_mod_less_than_1024_bits",
        intermediate(key=made.rsa_spki((1 << 511) + 1), start=at(2009), end=at(2010)),
        intermediate(**RSA, start=at(2009), end=at(2010)),
    ),
    (
        "e_old_sub_cert_rsa_mod_less_than_1024_bits",
        leaf(key=made.rsa_spki((1 << 511) + 1), start=at(2009), end=at(2010)),
        leaf(**RSA, start=at(2009), end=at(2010)),
    ),
    ("w_rsa_mod_factors_smaller_than_752", leaf(key=made.rsa_spki(made.rsa_numbers().n * 751)), leaf(**RSA)),
    ("w_rsa_mod_not_odd", leaf(key=made.rsa_spki(1 << 2047)), leaf(**RSA)),
    ("w_rsa_public_exponent_not_in_range", leaf(key=made.rsa_spki(e=3)), leaf(**RSA)),
    ("e_rsa_public_exponent_not_odd", leaf(key=made.rsa_spki(e=65538)), leaf(**RSA)),
    ("e_rsa_public_exponent_too_small", leaf(key=made.rsa_spki(e=1)), leaf(**RSA)),
    ("e_br_prohibit_dsa_usage", leaf(key=made.dsa_spki(23, 11, 2, 4)), GOOD),
    ("e_prohibit_dsa_usage", leaf(key=made.dsa_spki(23, 11, 2, 4)), GOOD),
    ("e_dsa_correct_order_in_subgroup", leaf(key=made.dsa_spki(23, 11, 2, 5)), leaf(key=made.dsa_spki(23, 11, 2, 4))),
    (
        "e_dsa_unique_correct_representation",
        leaf(key=made.dsa_spki(23, 11, 2, 22)),
        leaf(key=made.dsa_spki(23, 11, 2, 4)),
    ),
    (
        "e_dsa_improper_modulus_or_divisor_size",
        leaf(key=made.dsa_spki(23, 11, 2, 4)),
        leaf(key=made.dsa_spki(1 << 2047, 1 << 255, 2, 4)),
    ),
    (
        "e_dsa_shorter_than_2048_bits",
        leaf(key=made.dsa_spki(23, 11, 2, 4)),
        leaf(key=made.dsa_spki(1 << 2047, 1 << 255, 2, 4)),
    ),
    ("e_mp_exponent_cannot_be_one", leaf(key=made.rsa_spki(e=1)), leaf(**RSA)),
    ("e_mp_modulus_must_be_2048_bits_or_more", leaf(key=made.rsa_spki((1 << 1023) + 1)), leaf(**RSA)),
    ("e_mp_modulus_must_be_divisible_by_8", leaf(key=made.rsa_spki((1 << 2049) + 1)), leaf(**RSA)),
    ("e_mp_ecdsa_pub_key_encoding_correct", leaf(key=made.curve_spki("1.3.132.0.35")), GOOD),
    ("e_mp_ecdsa_signature_encoding_correct", leaf(signature=bytes(103)), leaf(signature=bytes(71))),
    ("e_mp_rsassa-pss_in_spki", leaf(key=made.other_spki(oids.RSA_PSS)), GOOD),
    (
        "e_mp_rsassa-pss_parameters_encoding_in_signature_algorithm_correct",
        leaf(algorithm=seq(oid(oids.RSA_PSS), seq())),
        leaf(algorithm=made.PSS_SHA256),
    ),
    ("e_rsa_fermat_factorization", leaf(key=made.rsa_spki(((1 << 1024) + 643) * ((1 << 1024) + 645))), leaf(**RSA)),
]
AUTHORITIES: list[Row] = [
    ("e_ca_common_name_missing", intermediate(subject=name((C, "US"), (ORG, "a"))), CA),
    ("e_ca_country_name_invalid", intermediate(subject=name((C, "ZZ"))), CA),
    ("e_ca_country_name_missing", intermediate(subject=name((ORG, "a"))), CA),
    ("e_ca_organization_name_missing", intermediate(subject=name((C, "US"))), CA),
    ("e_ca_crl_sign_not_set", key_usage(SIGN | CERTS, intermediate), CA),
    ("n_ca_digital_signature_not_set", key_usage(CERTS | LISTS, intermediate), CA),
    ("e_ca_key_cert_sign_not_set", key_usage(SIGN | LISTS, intermediate), CA),
    ("e_ca_key_usage_missing", intermediate({oids.KEY_USAGE: None}), CA),
    ("e_ca_key_usage_not_critical", *unmarked(oids.KEY_USAGE, made.bits(CERTS), intermediate)),
    ("e_ca_is_ca", key_usage(CERTS), CA),
    ("e_sub_cert_not_is_ca", key_usage(SIGN, intermediate), GOOD),
    (
        "w_root_ca_basic_constraints_path_len_constraint_field_present",
        root({oids.BASIC_CONSTRAINTS: (True, made.basic(ca=True, length=1))}),
        ROOT,
    ),
    ("w_root_ca_contains_cert_policy", root({oids.POLICIES: (False, made.policies("1.2.3"))}), ROOT),
    ("e_root_ca_extended_key_usage_present", root({oids.EXTENDED_USAGE: (False, usages(oids.SERVER_AUTH))}), ROOT),
    ("e_root_ca_key_usage_must_be_critical", *unmarked(oids.KEY_USAGE, made.bits(CERTS), root)),
    ("e_root_ca_key_usage_present", root({oids.KEY_USAGE: None}), ROOT),
    (
        "e_sub_ca_aia_missing",
        intermediate({oids.AUTHORITY_ACCESS: None}, start=at(2019)),
        intermediate(start=at(2019)),
    ),
    ("w_sub_ca_aia_missing", intermediate({oids.AUTHORITY_ACCESS: None}), CA),
    ("e_sub_ca_aia_marked_critical", *marked(oids.AUTHORITY_ACCESS, ACCESS, intermediate)),
    ("w_sub_ca_aia_does_not_contain_issuing_ca_url", intermediate({oids.AUTHORITY_ACCESS: None}), CA),
    ("e_sub_ca_certificate_policies_missing", intermediate({oids.POLICIES: None}), CA),
    ("w_sub_ca_certificate_policies_marked_critical", *marked(oids.POLICIES, made.policies("1.2.3"), intermediate)),
    ("e_sub_ca_crl_distribution_points_missing", intermediate({oids.CRL_POINTS: None}), CA),
    (
        "e_sub_ca_crl_distribution_points_marked_critical",
        *marked(oids.CRL_POINTS, made.points("http://a"), intermediate),
    ),
    ("e_sub_ca_crl_distribution_points_does_not_contain_url", intermediate({oids.CRL_POINTS: (False, NO_POINT)}), CA),
    ("n_sub_ca_eku_missing", intermediate({oids.EXTENDED_USAGE: None}), CA),
    ("w_sub_ca_eku_critical", *marked(oids.EXTENDED_USAGE, usages(oids.SERVER_AUTH), intermediate)),
    (
        "n_sub_ca_eku_not_technically_constrained",
        intermediate({oids.EXTENDED_USAGE: (False, usages(oids.ANY_USAGE))}),
        CA,
    ),
    ("n_mp_allowed_eku", intermediate({oids.EXTENDED_USAGE: None}), CA),
    (
        "w_sub_ca_name_constraints_not_critical",
        *unmarked(oids.NAME_CONSTRAINTS, seq(tagged(0, tree(2, b"a.com"))), intermediate),
    ),
]


def somebody(*rdns: Attribute) -> bytes:
    """A leaf of an organization."""
    return subject((ORG, "a"), (C, "US"), *rdns)


OCSP_SIGNER = {oids.EXTENDED_USAGE: (False, usages(oids.SERVER_AUTH, oids.OCSP_SIGNING))}
WITH_ISSUER_AND_SERIAL = seq(
    tagged(0, b"\1", constructed=False), tagged(1, tagged(4, made.ROOT)), tagged(2, b"\1", constructed=False)
)
SUBSCRIBERS: list[Row] = [
    ("e_sub_cert_aia_missing", leaf({oids.AUTHORITY_ACCESS: None}), GOOD),
    ("e_sub_cert_aia_marked_critical", *marked(oids.AUTHORITY_ACCESS, ACCESS)),
    ("e_sub_cert_aia_does_not_contain_ocsp_url", leaf({oids.AUTHORITY_ACCESS: (False, made.access(ocsp=None))}), GOOD),
    (
        "w_sub_cert_aia_does_not_contain_issuing_ca_url",
        leaf({oids.AUTHORITY_ACCESS: (False, made.access(issuer=None))}),
        GOOD,
    ),
    ("e_sub_cert_certificate_policies_missing", leaf({oids.POLICIES: None}), GOOD),
    ("e_sub_cert_cert_policy_empty", leaf({oids.POLICIES: None}), GOOD),
    ("w_sub_cert_certificate_policies_marked_critical", *marked(oids.POLICIES, made.policies("1.2.3"))),
    ("e_sub_cert_crl_distribution_points_marked_critical", *marked(oids.CRL_POINTS, made.points("http://a"))),
    ("e_sub_cert_crl_distribution_points_does_not_contain_url", leaf({oids.CRL_POINTS: (False, NO_POINT)}), GOOD),
    ("e_sub_cert_eku_missing", leaf({oids.EXTENDED_USAGE: None}), GOOD),
    (
        "e_sub_cert_eku_server_auth_client_auth_missing",
        leaf({oids.EXTENDED_USAGE: (False, usages(oids.ANY_USAGE))}),
        GOOD,
    ),
    ("w_sub_cert_eku_extra_values", leaf(OCSP_SIGNER), GOOD),
    ("e_sub_cert_key_usage_cert_sign_bit_set", key_usage(CERTS), GOOD),
    ("e_sub_cert_key_usage_crl_sign_bit_set", key_usage(LISTS), GOOD),
    (
        "e_ocsp_id_pkix_ocsp_nocheck_ext_not_included_server_auth",
        leaf(OCSP_SIGNER),
        leaf({**OCSP_SIGNER, oids.OCSP_NO_CHECK: (False, NULL)}),
    ),
    ("e_sub_cert_valid_time_longer_than_39_months", leaf(end=START + 4 * YEAR), leaf(end=START + 3 * YEAR)),
    ("e_sub_cert_valid_time_longer_than_825_days", leaf(end=START + 826 * DAY), leaf(end=START + 825 * DAY)),
    ("e_tls_server_cert_valid_time_longer_than_398_days", leaf(end=START + 398 * DAY), GOOD),
    ("w_tls_server_cert_valid_time_longer_than_397_days", leaf(end=START + 397 * DAY), GOOD),
    ("w_ct_sct_policy_count_unsatisfied", leaf({oids.TIMESTAMPS: (False, made.timestamps(1))}), GOOD),
    ("e_mp_authority_key_identifier_correct", leaf({oids.AUTHORITY_KEY: (False, WITH_ISSUER_AND_SERIAL)}), GOOD),
    ("e_cab_dv_conflicts_with_locality", subject((L, "a")), GOOD),
    ("e_cab_dv_conflicts_with_org", subject((ORG, "a")), GOOD),
    ("e_cab_dv_conflicts_with_postal", subject((oids.POSTAL_CODE, "1")), GOOD),
    ("e_cab_dv_conflicts_with_province", subject((ST, "a")), GOOD),
    ("e_cab_dv_conflicts_with_street", subject((oids.STREET, "a")), GOOD),
    (
        "e_cab_ov_requires_org",
        policy(oids.ORGANIZATION_VALIDATED),
        policy(oids.ORGANIZATION_VALIDATED, subject=name((ORG, "a"))),
    ),
    (
        "e_cert_policy_ov_requires_country",
        policy(oids.ORGANIZATION_VALIDATED),
        policy(oids.ORGANIZATION_VALIDATED, subject=name((C, "US"))),
    ),
    (
        "e_cert_policy_ov_requires_province_or_locality",
        policy(oids.ORGANIZATION_VALIDATED),
        policy(oids.ORGANIZATION_VALIDATED, subject=name((L, "a"))),
    ),
    (
        "e_cab_iv_requires_personal_name",
        policy(oids.INDIVIDUAL_VALIDATED),
        policy(oids.INDIVIDUAL_VALIDATED, subject=name((ORG, "a"))),
    ),
    (
        "e_cert_policy_iv_requires_country",
        policy(oids.INDIVIDUAL_VALIDATED),
        policy(oids.INDIVIDUAL_VALIDATED, subject=name((C, "US"))),
    ),
    (
        "e_cert_policy_iv_requires_province_or_locality",
        policy(oids.INDIVIDUAL_VALIDATED),
        policy(oids.INDIVIDUAL_VALIDATED, subject=name((ST, "a"))),
    ),
    ("e_sub_cert_country_name_must_appear", subject((ORG, "a")), somebody()),
    ("e_sub_cert_locality_name_must_appear", somebody(), somebody((L, "a"))),
    ("e_sub_cert_province_must_appear", somebody(), somebody((ST, "a"))),
    ("e_sub_cert_locality_name_must_not_appear", subject((L, "a")), somebody((L, "a"))),
    ("e_sub_cert_postal_code_must_not_appear", subject((oids.POSTAL_CODE, "1")), GOOD),
    ("e_sub_cert_province_must_not_appear", subject((ST, "a")), GOOD),
    ("e_sub_cert_street_address_should_not_exist", subject((oids.STREET, "a")), GOOD),
    (
        "e_sub_cert_given_name_surname_contains_correct_policy",
        subject((oids.SURNAME, "a")),
        policy(oids.INDIVIDUAL_VALIDATED, subject=name((oids.SURNAME, "a"))),
    ),
    ("e_organizational_unit_name_prohibited", subject((oids.UNIT, "a")), GOOD),
    (
        "e_subject_contains_organizational_unit_name_and_no_organization_name",
        subject((oids.UNIT, "a")),
        subject((oids.UNIT, "a"), (ORG, "a")),
    ),
]


def extended(*rdns: Attribute, **parts: Any) -> bytes:
    return policy(EXTENDED, **{"subject": name((CN, "www.example.com"), *rdns), **parts})


EV: list[Row] = [
    ("e_ev_business_category_missing", extended(), extended((oids.BUSINESS, "a"))),
    ("e_ev_country_name_missing", extended(), extended((C, "US"))),
    ("e_ev_organization_name_missing", extended(), extended((ORG, "a"))),
    ("e_ev_serial_number_missing", extended(), extended((oids.SERIAL, "1"))),
    ("e_ev_san_ip_address_present", extended(san=general_names(ips=[b"\1" * 4])), extended()),
    ("e_ev_not_wildcard", extended(san=general_names(["*.example.com"])), extended()),
    ("e_ev_organization_id_missing", extended((oids.ORGANIZATION_ID, "VATDE-1")), made.identified(EXTENDED)),
    (
        "e_ev_valid_time_too_long",
        extended(start=at(2017), end=at(2020)),
        extended(start=at(2017), end=at(2019)),
    ),
]
QCS = "0.4.0.1862.1."
COMPLIANCE = seq(oid(QCS + "1"))


def statements(*them: bytes, critical: bool = False) -> bytes:
    return leaf({oids.QC_STATEMENTS: (critical, seq(*them))})


def limit(currency: bytes, amount: int) -> bytes:
    return statements(COMPLIANCE, seq(oid(QCS + "2"), seq(currency, der.integer(amount), der.integer(0))))


def disclosure(*languages: str) -> bytes:
    each = (seq(text("https://a.com", IA5), text(language, PRINTABLE)) for language in languages)
    return statements(COMPLIANCE, seq(oid(QCS + "5"), seq(*each)))


def kinds(*them: str) -> bytes:
    return statements(COMPLIANCE, seq(oid(QCS + "6"), seq(*map(oid, them))))


QUALIFIED: list[Row] = [
    ("e_qcstatem_etsi_present_qcs_critical", statements(COMPLIANCE, critical=True), statements(COMPLIANCE)),
    ("e_qcstatem_etsi_type_as_statem", statements(COMPLIANCE, seq(oid(QCS + "6.1"))), statements(COMPLIANCE)),
    ("e_qcstatem_mandatory_etsi_statems", statements(seq(oid(QCS + "4"))), statements(COMPLIANCE)),
    ("e_qcstatem_qccompliance_valid", statements(seq(oid(QCS + "1"), NULL)), statements(COMPLIANCE)),
    ("e_qcstatem_qcsscd_valid", statements(seq(oid(QCS + "4"), NULL)), statements(COMPLIANCE, seq(oid(QCS + "4")))),
    ("e_qcstatem_qclimitvalue_valid", limit(text("EURO", PRINTABLE), 5), limit(text("EUR", PRINTABLE), 5)),
    (
        "e_qcstatem_qcretentionperiod_valid",
        statements(COMPLIANCE, seq(oid(QCS + "3"), der.integer(-1))),
        statements(COMPLIANCE, seq(oid(QCS + "3"), der.integer(10))),
    ),
    ("e_qcstatem_qcpds_valid", disclosure("de"), disclosure("en", "de")),
    ("w_qcstatem_qcpds_lang_case", disclosure("EN"), disclosure("en")),
    ("e_qcstatem_qctype_valid", kinds("1.2.3"), kinds(QCS + "6.3")),
    ("w_qcstatem_qctype_web", kinds(QCS + "6.1"), kinds(QCS + "6.3")),
]
# Nothing that can be read breaks these: Go's parser, and ours, refuse it first.
UNBREAKABLE = {"e_subject_not_dn", "e_dsa_params_missing", "e_rsa_exp_negative", "e_rsa_no_public_key"}
CASES = [
    *(*FRAME, *NAMES, *ALTERNATIVE, *HOSTS, *EXTENSIONS, *KEYS),
    *(*AUTHORITIES, *SUBSCRIBERS, *EV, *QUALIFIED),
]
