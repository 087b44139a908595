"""RFC 5280 (and X.520's upper bounds) on the names of subject and issuer."""

import re

from groundplane.pki.lint import oids, read
from groundplane.pki.lint.conditions import always, is_ca
from groundplane.pki.lint.model import RFC2459, Lint, Source
from groundplane.pki.lint.parts import Name
from groundplane.pki.lint.view import View

_PRINTABLE = re.compile(rb"[a-zA-Z0-9=()+,\-./:? ']+")


def _longest(name: str, oid: str, limit: int) -> Lint:
    """No attribute of a kind has more characters than that."""

    def check(view: View) -> bool:
        return all(len(text) <= limit for text in view.subject.texts(oid))

    return Lint(name, Source.RFC5280, RFC2459, always, check)


def _printable(name: Name, oid: str) -> bool:
    return all(it.value.tag == read.PRINTABLE for it in name.attributes if it.oid == oid)


def _no_control(view: View) -> bool:
    """C0, DEL and C1, in whatever kind of string."""
    texts = (it.value.content.decode("utf-8", "replace") for it in view.subject.attributes)
    return not any(char < " " or "\x7f" <= char <= "\x9f" for text in texts for char in text)


def _honest_printable(view: View) -> bool:
    """A PrintableString holds nothing but X.680's characters; an empty one is none."""
    return all(
        _PRINTABLE.fullmatch(it.value.content) for it in view.subject.attributes if it.value.tag == read.PRINTABLE
    )


LINTS = (
    Lint("e_issuer_field_empty", Source.RFC5280, RFC2459, always, lambda view: bool(view.issuer.attributes)),
    Lint(
        "e_ca_subject_field_empty",
        Source.RFC5280,
        RFC2459,
        is_ca,
        lambda view: bool(view.subject.attributes),
    ),
    Lint(
        "e_subject_empty_without_san",
        Source.RFC5280,
        RFC2459,
        always,
        lambda view: bool(view.subject.attributes) or oids.SAN in view,
    ),
    Lint("e_subject_not_dn", Source.RFC5280, RFC2459, always, lambda view: view.subject_der.tag == read.SEQUENCE),
    Lint(
        "e_issuer_dn_country_not_printable_string",
        Source.RFC5280,
        None,
        lambda view: bool(view.issuer.texts(oids.COUNTRY)),
        lambda view: _printable(view.issuer, oids.COUNTRY),
    ),
    Lint(
        "e_subject_dn_country_not_printable_string",
        Source.RFC5280,
        None,
        lambda view: bool(view.subject.texts(oids.COUNTRY)),
        lambda view: _printable(view.subject, oids.COUNTRY),
    ),
    Lint(
        "e_subject_dn_serial_number_not_printable_string",
        Source.RFC5280,
        None,
        lambda view: bool(view.subject.text(oids.SERIAL)),
        lambda view: _printable(view.subject, oids.SERIAL),
    ),
    Lint(
        "e_subject_dn_serial_number_max_length",
        Source.RFC5280,
        None,
        lambda view: bool(view.subject.text(oids.SERIAL)),
        lambda view: len(view.subject.text(oids.SERIAL)) <= 64,  # noqa: PLR2004 - ub-serial-number
    ),
    Lint("e_subject_dn_not_printable_characters", Source.RFC5280, None, always, _no_control),
    Lint("e_subject_printable_string_badalpha", Source.RFC5280, RFC2459, always, _honest_printable),
    Lint(
        "e_subject_common_name_max_length",
        Source.RFC5280,
        RFC2459,
        always,
        lambda view: len(view.common_name) <= 64,  # noqa: PLR2004 - ub-common-name
    ),
    _longest("e_subject_email_max_length", oids.EMAIL, 255),
    _longest("e_subject_given_name_max_length", oids.GIVEN_NAME, 32768),
    _longest("w_subject_given_name_recommended_max_length", oids.GIVEN_NAME, 64),
    _longest("e_subject_surname_max_length", oids.SURNAME, 32768),
    _longest("w_subject_surname_recommended_max_length", oids.SURNAME, 64),
    _longest("e_subject_locality_name_max_length", oids.LOCALITY, 128),
    _longest("e_subject_organization_name_max_length", oids.ORGANIZATION, 64),
    _longest("e_subject_organizational_unit_name_max_length", oids.UNIT, 64),
    _longest("e_subject_postal_code_max_length", oids.POSTAL_CODE, 16),
    _longest("e_subject_state_name_max_length", oids.PROVINCE, 128),
    _longest("e_subject_street_address_max_length", oids.STREET, 128),
)
