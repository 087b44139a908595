"""Where a database is, from the data source of CFSSL's driver: a path, `postgres://…`, `user:pw@tcp(host)/db?…`.

CFSSL hands these to three Go drivers, so their forms and defaults hold: lib/pq wants TLS unless told otherwise (here a
server on this host may do without), go-sql-driver's unknown parameters are variables of the session. No password ever
leaves by an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from groundplane.errors import Invalid
from groundplane.pki.certdb.model import DatabaseConfig

_MYSQL = re.compile(
    r"(?:(?P<user>[^:]*)(?::(?P<password>.*))?@)?(?:(?P<net>[a-z0-9]+)(?:\((?P<address>[^)]*)\))?)?/(?P<name>[^?]*)"
    r"(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_ASSIGNMENT = re.compile(r"\s*([A-Za-z_.]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\']|\\.)*))(?=\s|$)")
# What go-sql-driver takes for itself, and needs no counterpart here: times and text have one form in this package.
_GO_MYSQL = re.compile(
    r"""
    allowAllFiles | allowCleartextPasswords | allowFallbackToPlaintext | allowNativePasswords |
    allowOldPasswords | charset | checkConnLiveness | clientFoundRows | collation | columnsWithAlias |
    connectionAttributes | interpolateParams | loc | maxAllowedPacket | multiStatements | parseTime |
    rejectReadOnly | serverPubKey | timeTruncate
    """,
    re.VERBOSE,
)
_GO_POSTGRES = frozenset({"binary_parameters", "disable_prepared_binary_result", "sslinline"})
_LIBPQ = re.compile(
    r"""
    host | hostaddr | port | user | password | passfile | dbname | connect_timeout | application_name |
    fallback_application_name | keepalives | keepalives_idle | keepalives_interval | keepalives_count |
    tcp_user_timeout | sslmode | sslcert | sslkey | sslpassword | sslrootcert | sslcrl | sslsni |
    ssl_min_protocol_version | ssl_max_protocol_version | krbsrvname | gssencmode | service | options |
    target_session_attrs | channel_binding | client_encoding
    """,
    re.VERBOSE,
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_VALUE = re.compile(r"[A-Za-z0-9_.+-]+|'[^'\\;]*'")
_SECONDS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})
_DEFAULT_BUSY = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What to connect to: the driver's arguments, statements to run first, and a name without secrets."""

    driver: str
    name: str
    arguments: Mapping[str, object] = field(repr=False)
    setup: tuple[str, ...] = ()
    in_memory: bool = False


def read_source(config: DatabaseConfig) -> Source:
    """The database of `config`. Raises Invalid."""
    match config.driver:
        case "sqlite3":
            return _sqlite(config.data_source)
        case "postgres":
            return _postgres(config.data_source)
        case "mysql":
            return _mysql(config.data_source)
        case other:
            raise Invalid(f"there is no driver {other!r}", to="database", hint="give sqlite3, postgres or mysql")


def _sqlite(text: str) -> Source:
    path, _, query = text.partition("?")
    settings = dict(parse_qsl(query, keep_blank_values=True))
    own = {key: value for key, value in settings.items() if key.startswith("_")}
    theirs = {key: value for key, value in settings.items() if not key.startswith("_")}
    busy = own.get("_busy_timeout", own.get("_timeout", ""))
    if busy and not busy.isdigit():
        raise Invalid("the busy timeout is no number of milliseconds", to=path, hint="write ?_busy_timeout=5000")
    in_memory = ":memory:" in path or theirs.get("mode") == "memory"
    is_uri = path.startswith("file:")
    if is_uri and theirs:
        path = f"{path}?{'&'.join(f'{key}={value}' for key, value in theirs.items())}"
    setup = ("PRAGMA foreign_keys = ON",) if own.get("_foreign_keys", own.get("_fk", "")) in {"1", "on", "true"} else ()
    arguments = {"database": path, "uri": is_uri, "timeout": int(busy) / 1000 if busy else _DEFAULT_BUSY}
    return Source(driver="sqlite3", name=path, arguments=arguments, setup=setup, in_memory=in_memory)


def _postgres(text: str) -> Source:
    is_url = text.startswith(("postgres://", "postgresql://"))
    settings = _postgres_url(text) if is_url else _assignments(text)
    arguments: dict[str, object] = {key: value for key, value in settings.items() if _LIBPQ.fullmatch(key)}
    variables = {key: value for key, value in settings.items() if not _LIBPQ.fullmatch(key) and key not in _GO_POSTGRES}
    for key in variables:
        if not _VARIABLE.fullmatch(key):
            raise Invalid(f"there is no setting {key!r}", to="postgres data source", hint="mend data_source")
    host = str(settings.get("hostaddr") or settings.get("host", ""))
    if "sslmode" not in settings:
        arguments["sslmode"] = "prefer" if host in _LOOPBACK or host.startswith("/") else "require"
    arguments.setdefault("host", "localhost")  # lib/pq's; libpq would look for a socket
    arguments.setdefault("connect_timeout", "10")
    flags = [str(settings["options"])] if "options" in settings else []
    # Years before 1 and after 9999 apart, every instant can be read in UTC; in some zones the year 1 cannot.
    variables["timezone"] = "UTC"
    flags += [f"-c {key}={_escaped(value)}" for key, value in variables.items()]
    arguments["options"] = " ".join(flags)
    database = settings.get("dbname") or settings.get("user", "")
    name = f"postgres {database} at {arguments['host']}:{settings.get('port', '5432')}"
    return Source(driver="postgres", name=name, arguments=arguments)


def _postgres_url(text: str) -> dict[str, str]:
    try:
        parts = urlsplit(text)
        found = {
            "host": unquote(parts.hostname or ""),
            "port": str(parts.port or ""),
            "user": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "dbname": unquote(parts.path.removeprefix("/")),
        }
    except ValueError:
        raise Invalid("the URL cannot be read", to="postgres data source", hint=_POSTGRES_HINT) from None
    return {key: value for key, value in found.items() if value} | dict(parse_qsl(parts.query, keep_blank_values=True))


_POSTGRES_HINT = "write postgres://user:password@host:5432/database?sslmode=verify-full"


def _assignments(text: str) -> dict[str, str]:
    """`key=value` pairs, where a value may stand in single quotes, with backslashes before what is special."""
    found: dict[str, str] = {}
    place = 0
    while text[place:].strip():
        pair = _ASSIGNMENT.match(text, place)
        if pair is None:
            raise Invalid("it is neither a URL nor key=value pairs", to="postgres data source", hint=_POSTGRES_HINT)
        found[pair[1]] = re.sub(r"\\(.)", r"\1", pair[2] if pair[2] is not None else pair[3])
        place = pair.end()
    return found


def _escaped(value: str) -> str:
    return re.sub(r"([\\\s])", r"\\\1", value)


def _mysql(text: str) -> Source:
    # The password may hold any character: the last @ before the last / ends it.
    head, slash, tail = text.rpartition("/")
    if "?" in head:  # a / in a parameter
        head, slash, tail = text.partition("?")[0].rpartition("/")
        tail += "?" + text.partition("?")[2]
    login, at, place = head.rpartition("@")
    user, _, password = login.partition(":")
    found = _MYSQL.fullmatch(f"{place}{slash}{tail}")
    if not slash or found is None or (at and not login):
        hint = "write user:password@tcp(host:3306)/database?parseTime=true"
        raise Invalid("it cannot be read", to="mysql data source", hint=hint)
    settings = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    arguments: dict[str, object] = {"user": user, "password": password, "database": unquote(found["name"])}
    arguments |= _mysql_address(found["net"] or "tcp", found["address"] or "")
    arguments |= _mysql_times(settings) | _mysql_tls(settings.pop("tls", "false"))
    setup = []
    for key, value in settings.items():
        if _GO_MYSQL.fullmatch(key):
            continue
        if not _VARIABLE.fullmatch(key) or not _VALUE.fullmatch(value):
            raise Invalid(f"parameter {key!r} cannot be set", to="mysql data source", hint="mend data_source")
        setup.append(f"SET SESSION {key} = {value}")
    where = arguments.get("unix_socket") or f"{arguments['host']}:{arguments['port']}"
    name = f"mysql {arguments['database']} at {where}"
    return Source(driver="mysql", name=name, arguments=arguments, setup=tuple(setup))


def _mysql_address(net: str, address: str) -> dict[str, object]:
    if net == "unix":
        return {"unix_socket": address or "/tmp/mysql.sock"}  # noqa: S108 - the driver's default
    if net not in {"tcp", "tcp4", "tcp6"}:
        raise Invalid(f"there is no network {net!r}", to="mysql data source", hint="write tcp(host:3306) or unix(path)")
    host, _, port = address.rpartition(":") if re.search(r"(?:^|[^:]|\]):\d+$", address) else (address, "", "3306")
    return {"host": host.strip("[]") or "127.0.0.1", "port": int(port)}


def _mysql_times(settings: dict[str, str]) -> dict[str, object]:
    found: dict[str, object] = {"connect_timeout": 10.0}
    for theirs, ours in (
        ("timeout", "connect_timeout"),
        ("readTimeout", "read_timeout"),
        ("writeTimeout", "write_timeout"),
    ):
        text = settings.pop(theirs, "")
        if not text:
            continue
        pieces = _SECONDS.fullmatch(text)
        if pieces is None:
            raise Invalid(f"{theirs} is no duration: {text}", to="mysql data source", hint=f"write {theirs}=10s")
        hours, minutes, seconds, millis = (float(piece or 0) for piece in pieces.groups())
        found[ours] = max(hours * 3600 + minutes * 60 + seconds + millis / 1000, 0.001)
    return found


def _mysql_tls(word: str) -> dict[str, object]:
    match word.lower():
        case "false" | "0":
            return {}
        case "true" | "1":
            return {"tls": "verified"}
        case "skip-verify" | "preferred":
            return {"tls": word.lower()}
        case _:
            hint = "write tls=true; CFSSL registers no further ones"
            raise Invalid(f"there is no TLS configuration {word!r}", to="mysql data source", hint=hint)
