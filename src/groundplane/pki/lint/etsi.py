"""ETSI EN 319 412-5: statements of qualified certificates."""

from dataclasses import dataclass
from functools import partial

from groundplane.pki.lint import oids, read
from groundplane.pki.lint.model import ERROR, WARN, Source, Status, day, rules_of
from groundplane.pki.lint.read import Malformed, Value
from groundplane.pki.lint.view import View

_RULE = rules_of(Source.ETSI, day(2017, 11))
_QCS = "0.4.0.1862.1."
_COMPLIANCE, _LIMIT, _RETENTION, _DEVICE, _DISCLOSURE, _TYPE = (_QCS + number for number in "123456")
_STATEMENTS = (_COMPLIANCE, _LIMIT, _RETENTION, _DEVICE, _DISCLOSURE, _TYPE)
_TYPES = tuple(f"{_TYPE}.{number}" for number in (1, 2, 3))
_WEB = _TYPES[2]
_CURRENCIES, _LETTERS = range(1, 1000), 3


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: what stands beside its identifier."""

    oid: str
    rest: tuple[Value, ...]


def _statements(view: View) -> tuple[Statement, ...]:
    """Raises Malformed."""
    found = []
    for member in read.sequence(view.value(oids.QC_STATEMENTS)):
        parts = member.members
        if not parts or parts[0].tag != read.OBJECT:
            raise Malformed("this is no statement")
        found.append(Statement(read.dotted(parts[0].content), tuple(parts[1:])))
    return tuple(found)


def _find(oid: str, view: View) -> Statement | None:
    if oids.QC_STATEMENTS not in view:
        return None
    try:
        return next((it for it in _statements(view) if it.oid == oid), None)
    except Malformed:
        return None


def _says(oid: str, view: View) -> bool:
    return _find(oid, view) is not None


def _any(view: View) -> bool:
    return any(_says(oid, view) for oid in _STATEMENTS)


def _given(oid: str, view: View) -> tuple[Value, ...]:
    found = _find(oid, view)
    return () if found is None else found.rest


def _alone(oid: str, view: View) -> bool:
    """The identifier says it all."""
    return not _given(oid, view)


def _limit(view: View) -> bool:
    """A currency (three letters or a number of ISO 4217), an amount that is not negative, an exponent."""
    try:
        currency, amount, exponent = _given(_LIMIT, view)[0].members
        numbers = [read.integer(it.content) for it in (amount, exponent) if it.tag == read.INTEGER]
        if len(numbers) != 2 or numbers[0] < 0:  # noqa: PLR2004 - amount and exponent
            return False
        if currency.tag == read.INTEGER:
            return read.integer(currency.content) in _CURRENCIES
    except (ValueError, IndexError):
        return False
    return currency.tag == read.PRINTABLE and len(currency.content) == _LETTERS and currency.content.isalpha()


def _retention(view: View) -> bool:
    given = _given(_RETENTION, view)
    return bool(given) and given[0].tag == read.INTEGER and read.integer(given[0].content) >= 0


def _locations(view: View) -> list[tuple[str, str]]:
    """URLs of disclosure statements, and their languages. Raises ValueError, IndexError."""
    found = []
    for location in _given(_DISCLOSURE, view)[0].members:
        url, language = location.members
        if url.tag != read.IA5 or language.tag != read.PRINTABLE:
            raise Malformed("these are no strings of the right kinds")
        found.append((url.content.decode("latin-1"), language.content.decode("latin-1")))
    return found


def _disclosure(view: View) -> bool:
    """Languages of two letters, each once, English among them."""
    try:
        languages = [language for _, language in _locations(view)]
    except (ValueError, IndexError):
        return False
    seen: set[str] = set()
    for language in languages:
        if language.lower() in seen:  # zlint remembers them as they are written
            return False
        seen.add(language)
    return all(len(it) == 2 for it in languages) and "en" in {it.lower() for it in languages}  # noqa: PLR2004


def _languages(view: View) -> bool | Status:
    try:
        return all(not language or (language.isalpha() and language.islower()) for _, language in _locations(view))
    except (ValueError, IndexError):
        return ERROR


def _kinds(view: View) -> list[str]:
    """Raises ValueError, IndexError."""
    return [read.dotted(it.content) for it in _given(_TYPE, view)[0].members]


def _kinds_known(view: View) -> bool:
    try:
        kinds = _kinds(view)
    except (ValueError, IndexError):
        return False
    return bool(kinds) and {*kinds} <= {*_TYPES}


def _for_web(view: View) -> bool | Status:
    try:
        kinds = _kinds(view)
    except (ValueError, IndexError):
        return ERROR
    if not kinds:
        return ERROR
    return _WEB in kinds or WARN


LINTS = (
    _RULE("e_qcstatem_etsi_present_qcs_critical", _any, lambda view: not view.critical(oids.QC_STATEMENTS)),
    _RULE(
        "e_qcstatem_etsi_type_as_statem",
        lambda view: oids.QC_STATEMENTS in view,
        lambda view: not any(_says(kind, view) for kind in _TYPES),
    ),
    _RULE("e_qcstatem_mandatory_etsi_statems", _any, partial(_says, _COMPLIANCE)),
    _RULE("e_qcstatem_qccompliance_valid", partial(_says, _COMPLIANCE), partial(_alone, _COMPLIANCE)),
    _RULE("e_qcstatem_qcsscd_valid", partial(_says, _DEVICE), partial(_alone, _DEVICE)),
    _RULE("e_qcstatem_qclimitvalue_valid", partial(_says, _LIMIT), _limit),
    _RULE("e_qcstatem_qcretentionperiod_valid", partial(_says, _RETENTION), _retention),
    _RULE("e_qcstatem_qcpds_valid", partial(_says, _DISCLOSURE), _disclosure),
    _RULE("w_qcstatem_qcpds_lang_case", partial(_says, _DISCLOSURE), _languages),
    _RULE("e_qcstatem_qctype_valid", partial(_says, _TYPE), _kinds_known),
    _RULE("w_qcstatem_qctype_web", partial(_says, _TYPE), _for_web),
)
