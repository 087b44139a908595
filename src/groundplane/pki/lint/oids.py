"""Identifiers that rules name."""

_CE = "2.5.29."
DIRECTORY_ATTRIBUTES, SUBJECT_KEY, KEY_USAGE, SAN, IAN = (_CE + number for number in ("9", "14", "15", "17", "18"))
BASIC_CONSTRAINTS, NAME_CONSTRAINTS, CRL_POINTS, POLICIES = (_CE + number for number in ("19", "30", "31", "32"))
POLICY_MAPPINGS, AUTHORITY_KEY, POLICY_CONSTRAINTS, EXTENDED_USAGE = (
    _CE + number for number in ("33", "35", "36", "37")
)
FRESHEST_CRL, INHIBIT_ANY_POLICY = _CE + "46", _CE + "54"
ANY_POLICY, ANY_USAGE = _CE + "32.0", _CE + "37.0"
_PKIX = "1.3.6.1.5.5.7."
AUTHORITY_ACCESS, QC_STATEMENTS, SUBJECT_ACCESS = (_PKIX + number for number in ("1.1", "1.3", "1.11"))
CPS, USER_NOTICE = _PKIX + "2.1", _PKIX + "2.2"
SERVER_AUTH, CLIENT_AUTH, EMAIL_PROTECTION, OCSP_SIGNING = (_PKIX + number for number in ("3.1", "3.2", "3.4", "3.9"))
OCSP, ISSUERS, OCSP_NO_CHECK = (_PKIX + number for number in ("48.1", "48.2", "48.1.5"))
TIMESTAMPS, POISON = "1.3.6.1.4.1.11129.2.4.2", "1.3.6.1.4.1.11129.2.4.3"
DOMAIN_VALIDATED, ORGANIZATION_VALIDATED, INDIVIDUAL_VALIDATED = (f"2.23.140.1.2.{number}" for number in (1, 2, 3))
TOR_DESCRIPTORS, ORGANIZATION_IDENTIFIER = "2.23.140.1.31", "2.23.140.3.1"

_AT = "2.5.4."
COMMON_NAME, SURNAME, SERIAL, COUNTRY, LOCALITY = (_AT + number for number in ("3", "4", "5", "6", "7"))
PROVINCE, STREET, ORGANIZATION, UNIT, BUSINESS = (_AT + number for number in ("8", "9", "10", "11", "15"))
POSTAL_CODE, GIVEN_NAME, ORGANIZATION_ID = (_AT + number for number in ("17", "42", "97"))
EMAIL = "1.2.840.113549.1.9.1"
ORDINARY_ATTRIBUTES = frozenset(
    _AT + str(number) for number in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 17, 41, 42, 43, 44, 46)
)

RSA, RSA_PSS, DSA, EC = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10040.4.1", "1.2.840.10045.2.1"
ED25519, X25519 = "1.3.101.112", "1.3.101.110"
RSA_SIGNATURES = frozenset(f"1.2.840.113549.1.1.{number}" for number in (1, 2, 4, 5, 11, 12, 13, 14))
SHA1_SIGNATURES = frozenset({"1.2.840.113549.1.1.5", "1.2.840.10040.4.3", "1.2.840.10045.4.1"})
EC_SIGNATURES = frozenset({"1.2.840.10045.4.1", *(f"1.2.840.10045.4.3.{number}" for number in (1, 2, 3, 4))})
KNOWN_SIGNATURES = frozenset(
    {
        *(f"1.2.840.113549.1.1.{number}" for number in (11, 12, 13)),
        "2.16.840.1.101.3.4.3.2",
        *(f"1.2.840.10045.4.3.{number}" for number in (2, 3, 4)),
    }
)

# Usages that zlint's parser knows; a certificate with none but others counts as one of any use.
_APPLE, _MICROSOFT = "1.2.840.113635.100.4.", "1.3.6.1.4.1.311."
_APPLE_USAGES = ("1", "1.1", "1.2", "1.3", "1.4", "2", "3", "4", *("5", "5.1", "5.2", "5.3", "5.4", "6"))
_MICROSOFT_USAGES = (
    *(f"10.3.{number}" for number in range(1, 17)),
    *("10.3.3.1", "10.3.4.1", "10.5.1", "10.5.2", "10.5.3", "10.5.4", "20.2.1", "20.2.2", "21.5", "21.6"),
    *("47.1.1", "47.1.3", "61.1.1"),
)
KNOWN_USAGES = frozenset(
    {
        *(_PKIX + f"3.{number}" for number in (*range(1, 12), 13, 14)),
        *(_APPLE + number for number in (*_APPLE_USAGES, "6.1", "6.2", "6.3", "6.4")),
        *(_MICROSOFT + number for number in _MICROSOFT_USAGES),
        *("1.2.840.113583.1.1.5", "1.3.6.1.5.5.8.2.2", ANY_USAGE, "2.16.840.1.113730.4.1"),
    }
)

# Policies of CAs that say: validated to the EV Guidelines.
EXTENDED_VALIDATION = frozenset(
    [
        "2.23.140.1.1",
        "1.3.159.1.17.1",
        "1.3.6.1.4.1.34697.2.1",
        "1.3.6.1.4.1.34697.2.2",
        "1.3.6.1.4.1.34697.2.3",
        "1.3.6.1.4.1.34697.2.4",
        "1.2.40.0.17.1.22",
        "2.16.578.1.26.1.3.3",
        "1.3.6.1.4.1.17326.10.14.2.1.2",
        "1.3.6.1.4.1.17326.10.8.2.1.2",
        "1.3.6.1.4.1.6449.1.2.1.5.1",
        "2.16.840.1.114412.2.1",
        "2.16.840.1.114412.1.3.0.2",
        "2.16.528.1.1001.1.1.1.12.6.1.1.1",
        "2.16.792.3.0.4.1.1.4",
        "2.16.840.1.114028.10.1.2",
        "0.4.0.2042.1.4",
        "0.4.0.2042.1.5",
        "1.3.6.1.4.1.13177.10.1.3.10",
        "1.3.6.1.4.1.14370.1.6",
        "1.3.6.1.4.1.4146.1.1",
        "2.16.840.1.114413.1.7.23.3",
        "1.3.6.1.4.1.14777.6.1.1",
        "2.16.792.1.2.1.1.5.7.1.9",
        "1.3.6.1.4.1.782.1.2.1.8.1",
        "1.3.6.1.4.1.22234.2.5.2.3.1",
        "1.3.6.1.4.1.8024.0.2.100.1.2",
        "1.2.392.200091.100.721.1",
        "2.16.840.1.114414.1.7.23.3",
        "1.3.6.1.4.1.23223.2",
        "1.3.6.1.4.1.23223.1.1.1",
        "2.16.756.1.83.21.0",
        "2.16.756.1.89.1.2.1.1",
        "1.3.6.1.4.1.7879.13.24.1",
        "2.16.840.1.113733.1.7.48.1",
        "2.16.840.1.114404.1.1.2.4.1",
        "2.16.840.1.113733.1.7.23.6",
        "1.3.6.1.4.1.6334.1.100.1",
        "2.16.840.1.114171.500.9",
        "1.3.6.1.4.1.36305.2",
    ]
)
