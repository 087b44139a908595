"""Which endpoints are there, which are not and why, in the words of CFSSL's start."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from groundplane.pki.cfssl.errors import CfsslError, Code, Coded
from groundplane.pki.server.endpoints import chains, generate, look, records, revocation, scans, sign
from groundplane.pki.server.model import PREFIX, Call, Endpoint, Off, Result
from groundplane.pki.server.services import NO_SIGNER, Services

_NO_DATABASE = "cert db not configured (missing -db-config)"
PAGES = "/"  # the name under which the page can be disabled

Run = Callable[[Services, Call], Result]
Check = Callable[[Services], object]


def _signer(services: Services) -> None:
    if services.signers is None:
        raise Off(NO_SIGNER)


def _some_open(services: Services) -> None:
    _signer(services)
    if not services.open_profiles:
        raise Coded(Code.POLICY)


def _some_locked(services: Services) -> None:
    _signer(services)
    if not services.locked_profiles:
        raise Coded(Code.POLICY)


def _database(services: Services) -> None:
    if services.database is None:
        raise Off(_NO_DATABASE)


def _lists(services: Services) -> None:
    _signer(services)
    _database(services)
    if services.lists is None:
        raise Off(services.no_lists)


def _bundles(services: Services) -> None:
    if services.bundles is None:
        raise Off(services.no_bundles)
    services.journal.info("bundler API ready")


def _keys(services: Services) -> None:
    services.journal.info("setting up key / CSR generator")


def _responses(services: Services) -> None:
    if services.responses is None:
        raise Off(services.no_responses)


def _scans(services: Services) -> None:
    if services.scans is None:
        raise Off(services.no_scans)


def _nothing(_: Services) -> None:
    return


_GET, _POST = "GET", "POST"
# Name, method, function, what it needs, whether it is dangerous.
_TABLE: tuple[tuple[str, str, Run, Check, bool], ...] = (
    ("sign", _POST, sign.sign, _some_open, False),
    ("authsign", _POST, sign.authsign, _some_locked, False),
    ("info", _POST, look.info, _signer, False),
    ("crl", _GET, revocation.crl, _lists, False),
    ("gencrl", _POST, revocation.gencrl, _signer, True),
    ("newcert", _POST, generate.newcert, _signer, True),
    ("bundle", _POST, chains.bundle, _bundles, False),
    ("newkey", _POST, generate.newkey, _keys, True),
    ("init_ca", _POST, generate.init_ca, _nothing, True),
    ("scan", _GET, scans.scan, _scans, False),
    ("scaninfo", _GET, scans.scaninfo, _scans, False),
    ("certinfo", _POST, look.certinfo, _nothing, False),
    ("ocspsign", _POST, revocation.ocspsign, _responses, False),
    ("revoke", _POST, records.revoke, _database, False),
    ("health", _GET, look.health, _nothing, False),
    ("certadd", _POST, records.certadd, _nothing, True),
)
NAMES = frozenset(name for name, *_ in _TABLE)
DANGEROUS = frozenset(name for name, *_, dangerous in _TABLE if dangerous)
_QUICK = frozenset({"health", "scaninfo"})
_AS_QUICK_AS_SIGNERS = frozenset({"sign", "authsign", "info"})


def routes(
    services: Services, *, disabled: Iterable[str], told: Callable[[str], None] | None = None
) -> Mapping[str, Endpoint]:
    """The endpoints by path; each is logged as CFSSL does it. `told` hears which cannot be had; None: as a warning."""
    found: dict[str, Endpoint] = {}
    journal, off = services.journal, set(disabled)
    told = told or journal.warning
    for name, method, run, check, dangerous in _TABLE:
        if name in off:
            journal.info(f"endpoint '{name}' is explicitly disabled")
            continue
        try:
            check(services)
        except CfsslError as why:
            told(f"endpoint '{name}' is disabled: {why}")
            continue
        path = PREFIX + name
        found[path] = Endpoint(
            name=name,
            method=method,
            run=partial(run, services),
            blocking=not (name in _QUICK or (name in _AS_QUICK_AS_SIGNERS and services.quick)),
            dangerous=dangerous,
        )
        journal.info(f"endpoint '{path}' is enabled")
    if PAGES in off:
        journal.info(f"endpoint '{PAGES}' is explicitly disabled")
    else:
        journal.info(f"endpoint '{PAGES}' is enabled")
    journal.info("Handler set up complete.")
    return found
