"""What RFC 5280 wants of every certificate, whatever its profile and its request say.

Verifiers that read it strictly (`openssl verify -x509_strict`) refuse the rest. CFSSL's own programs issue it all the
same, and are not asked. Pure: words in, a sentence or an Invalid out.
"""

import re

from groundplane.errors import Invalid
from groundplane.pki.model import CertificateContent, KeyUsage
from groundplane.pki.name import (
    COMMON_NAME,
    COUNTRY,
    EMAIL_ADDRESS,
    LOCALITY,
    OID,
    ORGANIZATION,
    ORGANIZATIONAL_UNIT,
    PROVINCE,
    SERIAL_NUMBER,
    SHORT_NAMES,
)

# Characters, of appendix A.1's upper bounds.
LONGEST = {
    COMMON_NAME: 64,
    ORGANIZATION: 64,
    ORGANIZATIONAL_UNIT: 64,
    LOCALITY: 128,
    PROVINCE: 128,
    SERIAL_NUMBER: 64,
    EMAIL_ADDRESS: 255,
}
_COUNTRY = re.compile("[A-Za-z]{2}")


def value_trouble(oid: OID, value: str) -> str:
    """What is wrong with a value of a subject's attribute, as a sentence; empty for what is not."""
    if oid == COUNTRY and value and not _COUNTRY.fullmatch(value):
        return f"{value!r} is no country: a certificate has its two letters (ISO 3166), such as US"
    if len(value) > LONGEST.get(oid, len(value)):
        return f"{len(value)} characters are more than the {LONGEST[oid]} of a certificate's {SHORT_NAMES[oid]}"
    return ""


def usage_trouble(key_usages: frozenset[KeyUsage], *, is_ca: bool) -> tuple[str, str]:
    """What does not go together with being a CA or none, and the mend; both empty if nothing (4.2.1.3, 4.2.1.9)."""
    if is_ca and KeyUsage.KEY_CERT_SIGN not in key_usages:
        return 'a CA without the usage "cert sign" signs nothing that is believed', 'add "cert sign" to its usages'
    if not is_ca and KeyUsage.KEY_CERT_SIGN in key_usages:
        return '"cert sign" is for CAs only', 'add "ca_constraint": {"is_ca": true}, or remove it'
    return "", ""


def refuse_irregular(content: CertificateContent, *, at: object, profile: object = "") -> None:
    """Raises Invalid for a certificate about nobody, values that are too long, and a CA that is half of one.

    `at` is where the request is from, `profile` where its profile is.
    """
    if not content.subject.rdns and (content.is_ca or not content.names.texts()):
        lacking = "a CA needs a subject" if content.is_ca else "a certificate needs a name"
        raise Invalid(lacking, to=at, hint='add a "CN"' if content.is_ca else 'add a "CN", or "hosts"')
    for rdn in content.subject.rdns:
        for attribute in rdn:
            if trouble := value_trouble(attribute.oid, attribute.value):
                raise Invalid(trouble, to=at, hint="shorten it" if attribute.oid != COUNTRY else "mend the request")
    trouble, mend = usage_trouble(content.key_usages, is_ca=content.is_ca)
    if trouble:
        raise Invalid(trouble, to=profile or at, hint=mend)
