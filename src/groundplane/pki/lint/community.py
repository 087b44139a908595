"""What nobody has written down, and everybody wants."""

from collections.abc import Callable
from math import isqrt

from groundplane.pki.lint import domains, oids
from groundplane.pki.lint.baseline_keys import rsa
from groundplane.pki.lint.conditions import always, has, is_subscriber
from groundplane.pki.lint.model import Lint, Source, rules_of
from groundplane.pki.lint.parts import GeneralNames, Name
from groundplane.pki.lint.view import View

_EVER = rules_of(Source.COMMUNITY, None)
_ROUNDS = 100  # of Fermat's method, which finds factors that are close to each other
_LEAST_LABELS = 3
# What Unicode calls white space; str.strip() knows four controls more.
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def _texts(name: Name) -> list[str]:
    return [it.text for it in name.attributes if it.text is not None and it.oid in oids.ORDINARY_ATTRIBUTES]


def _no_leading(name: Name) -> bool:
    return all(text == text.lstrip(_SPACES) for text in _texts(name))


def _no_trailing(name: Name) -> bool:
    return all(text == text.rstrip(_SPACES) for text in _texts(name))


def _single(name: Name) -> bool:
    return all(len(rdn) < 2 for rdn in name.rdns)  # noqa: PLR2004 - one attribute in each


def _far_factors(view: View) -> bool:
    """No factors that are near the square root."""
    modulus = view.key.modulus
    middle = isqrt(modulus) + 1
    for above in range(middle, middle + _ROUNDS):
        rest = above * above - modulus
        if isqrt(rest) ** 2 == rest:
            return False
    return True


def _not_redacted(name: str) -> bool:
    return not name.removeprefix("*.").startswith("?.")


def _no_bare_suffix(view: View) -> bool:
    for name in view.san.dns:
        try:
            domains.split(name)
        except domains.IsSuffix:
            return False
    return True


def _pair(kind: str, oid: str, names: Callable[[View], GeneralNames]) -> tuple[Lint, ...]:
    """The rules that are the same for the names of subject and issuer."""
    there = has(oid)
    return (
        _EVER(f"e_{kind}_bare_wildcard", there, lambda view: not any(it.endswith("*") for it in names(view).dns)),
        _EVER(
            f"e_{kind}_dns_name_includes_null_char", there, lambda view: not any("\0" in it for it in names(view).dns)
        ),
        _EVER(
            f"e_{kind}_dns_name_starts_with_period",
            there,
            lambda view: not any(it.startswith(".") for it in names(view).dns),
        ),
        _EVER(f"e_{kind}_wildcard_not_first", there, lambda view: not any("*" in it[1:] for it in names(view).dns)),
    )


LINTS = (
    *_pair("san", oids.SAN, lambda view: view.san),
    *_pair("ian", oids.IAN, lambda view: view.ian),
    _EVER(
        "w_ian_iana_pub_suffix_empty",
        has(oids.IAN),
        lambda view: all(len(name.split(".")) >= _LEAST_LABELS for name in view.ian.dns),
    ),
    _EVER("n_san_iana_pub_suffix_empty", has(oids.SAN), _no_bare_suffix),
    _EVER(
        "n_san_dns_name_duplicate",
        has(oids.SAN),
        lambda view: len({name.lower() for name in view.san.dns}) == len(view.san.dns),
    ),
    _EVER(
        "n_contains_redacted_dnsname",
        is_subscriber,
        lambda view: all(map(_not_redacted, (view.common_name, *view.san.dns))),
    ),
    _EVER("w_issuer_dn_leading_whitespace", always, lambda view: _no_leading(view.issuer)),
    _EVER("w_issuer_dn_trailing_whitespace", always, lambda view: _no_trailing(view.issuer)),
    _EVER("w_subject_dn_leading_whitespace", always, lambda view: _no_leading(view.subject)),
    _EVER("w_subject_dn_trailing_whitespace", always, lambda view: _no_trailing(view.subject)),
    _EVER("w_multiple_issuer_rdn", always, lambda view: _single(view.issuer)),
    _EVER("n_multiple_subject_rdn", always, lambda view: _single(view.subject)),
    _EVER("e_rsa_exp_negative", rsa, lambda view: view.key.exponent >= 0),
    _EVER("e_rsa_fermat_factorization", rsa, _far_factors),
    _EVER("e_rsa_no_public_key", rsa, lambda view: view.key.modulus > 0),
    _EVER("e_validity_time_not_positive", always, lambda view: view.not_before <= view.not_after),
)
