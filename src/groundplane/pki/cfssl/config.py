"""The signing policy by CFSSL's rules: what it refuses, in its words, and what it lets pass.

The shapes and texts are checked here; the profiles themselves are read by `pki.wire`, leniently. What that refuses
although CFSSL takes it (a lifetime of less than nothing, a URL with blanks) is refused with CFSSL's code.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from groundplane.errors import Invalid
from groundplane.pki.cfssl import gotext
from groundplane.pki.cfssl.builtin import BUILTIN
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.godecode import (
    ANY,
    BOOL,
    INT,
    STRING,
    Custom,
    Fields,
    Mapped,
    Sequence,
    Struct,
    decode_fields,
    united,
)
from groundplane.pki.cfssl.gojson import Number, parse, text_of
from groundplane.pki.model import USAGES, Profile, SigningPolicy
from groundplane.pki.wire import parse_policy
from groundplane.pki.wire.document import as_json
from groundplane.pki.wire.policy import QUALIFIERS, REQUEST_FIELDS


def _lint_level(value: object) -> object:
    """A number, as documented, or a word, the only thing that CFSSL 1.6.5 reads (see docs/cfssl.md). Raises Plain."""
    from groundplane.pki.lint.model import LEVELS

    if value is None or (isinstance(value, str) and value.replace('"', "") in LEVELS):
        return value
    if isinstance(value, Number) and _WHOLE.fullmatch(value.text):
        return int(value.text)
    written = value.text if isinstance(value, Number) else json.dumps(value if _is_simple(value) else {})
    raise Plain(f"bad LintStatus JSON value: {written}")


def _is_simple(value: object) -> bool:
    return isinstance(value, str | bool)


_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_OID, _TIME = Custom("config.OID", gotext.identifier), Custom("time.Time", gotext.date)
_QUALIFIER = Struct("config.CertificatePolicyQualifier", {"Type": STRING, "Value": STRING})
_PROFILE = Struct(
    "config.SigningProfile",
    {
        "usages": Sequence(STRING),
        "issuer_urls": Sequence(STRING),
        **dict.fromkeys(("ocsp_url", "crl_url", "expiry", "backdate", "auth_key", "prev_auth_key", "remote"), STRING),
        **dict.fromkeys(("name_whitelist", "cert_store"), STRING),
        "ca_constraint": Struct("config.CAConstraint", {"is_ca": BOOL, "max_path_len": INT, "max_path_len_zero": BOOL}),
        **dict.fromkeys(("ocsp_no_check", "copy_extensions", "ClientProvidesSerialNumbers"), BOOL),
        **dict.fromkeys(("not_before", "not_after"), _TIME),
        "auth_remote": Struct("config.AuthRemote", {"remote": STRING, "auth_key": STRING}),
        "ct_log_servers": Sequence(STRING),
        "allowed_extensions": Sequence(_OID),
        "lint_error_level": Custom("lint.LintStatus", _lint_level),
        **dict.fromkeys(("ignored_lints", "ignored_lint_sources"), Sequence(STRING)),
        "Policies": Sequence(Struct("config.CertificatePolicy", {"ID": _OID, "Qualifiers": Sequence(_QUALIFIER)})),
        "CSRWhitelist": Struct("config.CSRWhitelist", dict.fromkeys(REQUEST_FIELDS, BOOL)),
    },
)
_CONFIG = Struct(
    "config.Config",
    {
        "signing": Struct("config.Signing", {"profiles": Mapped(_PROFILE), "default": _PROFILE}),
        "auth_keys": Mapped(Struct("config.AuthKey", {"type": STRING, "key": STRING})),
        "remotes": Mapped(STRING),
        "ocsp": ANY,
    },
)
_HIGHEST_LEVEL = 7
_NO_TIME = "0001-01-01T00:00:00Z"
_DEFAULT: Fields = {"usages": list(BUILTIN.usages), "expiry": "8760h"}


_LOCAL = ("usages", "issuer_urls", "ocsp_url", "expiry", "backdate", "not_before", "not_after", "name_whitelist")
_SKIPPED = (
    'The configuration value by "usages", "issuer_urls", "ocsp_url", "crl_url", "ca_constraint", "expiry", "backdate", '
    '"not_before", "not_after", "cert_store" and "ct_log_servers" are skipped'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteProfile:
    """Where a profile's requests go, and the key of their tokens as it was written; empty: they go without."""

    address: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The policy, and its profiles as they were written: what `info` says, and which are for remotes."""

    policy: SigningPolicy
    default: Fields
    profiles: Mapping[str, Fields] = field(default_factory=dict)
    auth_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    remotes: Mapping[str, str] = field(default_factory=dict)

    def written(self, name: str) -> Fields:
        """The profile as it was written; the default's for a name that is not known."""
        return self.profiles.get(name, self.default)

    def profile(self, name: str) -> Profile:
        """The profile to sign with here; the default for a name that is not known. Raises Plain for a remote's."""
        if _is_remote(self.written(name)):
            raise Plain("the profile is for a remote")
        return self.policy.profiles.get(name, self.policy.default)

    def remote(self, name: str) -> RemoteProfile | None:
        """Where requests for a profile go, the default's for a name that is not known; None: they stay here."""
        fields = self.written(name)
        authenticated = _dict(fields, "auth_remote")
        where = _text(authenticated, "remote") or _text(fields, "remote")
        if not where:
            return None
        return RemoteProfile(address=self.remotes[where], key=self._key(authenticated))

    def remote_key(self, name: str) -> str:
        """The key of the tokens for a profile's requests, wherever they go; empty: they go without."""
        return self._key(_dict(self.written(name), "auth_remote"))

    def _key(self, fields: Fields) -> str:
        name = _text(fields, "auth_key")
        return self.auth_keys[name] if name else ""

    @property
    def needs_local(self) -> bool:
        """Whether any profile is signed here."""
        return not all(map(_is_remote, (self.default, *self.profiles.values())))

    @property
    def needs_remote(self) -> bool:
        """Whether any profile is signed elsewhere."""
        return any(map(_is_remote, (self.default, *self.profiles.values())))

    def skipped(self) -> list[str]:
        """What of the profiles for remotes has no effect, in the words of CFSSL's warnings."""
        named = [(f"Profiles[{name}]", fields) for name, fields in self.profiles.items()]
        return [
            f"{name} points to a remote signer: {_SKIPPED}"
            for name, fields in (("default profile", self.default), *named)
            if _is_remote(fields) and _has_local(fields)
        ]


def load_config(data: bytes, *, source: str) -> Config:
    """Read a policy. Raises Coded or Plain."""
    try:
        fields = decode_fields(data, _CONFIG)
    except Plain as bad:
        raise Coded(Code.POLICY, f"failed to unmarshal configuration: {bad}") from bad
    signing = fields.get("signing")
    if not isinstance(signing, dict):
        raise Plain('No "signing" field present')
    profiles = {name: fields for name, fields in _dict(signing, "profiles").items() if isinstance(fields, dict)}
    if len(profiles) < len(_dict(signing, "profiles")):
        raise Coded(Code.POLICY, "can't parse nil profile")
    default = signing.get("default")
    for profile in ([default] if isinstance(default, dict) else []) + list(profiles.values()):
        _check(profile, fields)
    if isinstance(default, dict) and not _is_remote(default) and not gotext.duration(_text(default, "expiry")):
        raise Coded(Code.POLICY, "invalid configuration")
    everyone = [*([default] if isinstance(default, dict) else []), *profiles.values()]
    if not all(map(_is_level_valid, everyone)) or not all(map(_is_remote_valid, everyone)):
        raise Coded(Code.POLICY, "invalid configuration")
    if not all(_is_remote(profile) or _is_valid(profile) for profile in profiles.values()):
        raise Coded(Code.POLICY, "invalid configuration")
    try:
        policy = parse_policy(_once(data), source=source, strict=False)
    except Invalid as bad:
        raise Coded(Code.POLICY, str(bad)) from bad
    return _config(fields, policy)


def _once(data: bytes) -> bytes:
    """The same policy without repeats, for a reader to whom the last of them is all there is."""
    written = parse(data)
    once = united(written, _CONFIG)
    return data if once == written else text_of(once).encode()


def load_strictly(data: bytes, *, source: str) -> Config:
    """Read a policy as groundplane's own commands do: JSON or YAML, nothing is passed over. Raises Invalid, Plain."""
    policy = parse_policy(data, source=source)
    return _config(decode_fields(as_json(data, source=source), _CONFIG), policy)


def _config(fields: Fields, policy: SigningPolicy) -> Config:
    signing = _dict(fields, "signing")
    default = signing.get("default")
    profiles = {name: fields for name, fields in _dict(signing, "profiles").items() if isinstance(fields, dict)}
    return Config(
        policy=policy,
        default=default if isinstance(default, dict) else _DEFAULT,
        profiles=profiles,
        auth_keys={name: _text(key, "key") for name, key in _dict(fields, "auth_keys").items()},
        remotes={name: str(address) for name, address in _dict(fields, "remotes").items() if address},
    )


def _check(profile: Fields, config: Fields) -> None:
    """What CFSSL checks of each profile as it is loaded, in its order."""
    if _is_remote(profile):
        wanted = _text(_dict(profile, "auth_remote"), "remote")
        if wanted and _text(profile, "remote"):
            raise Coded(Code.POLICY)
        wanted = wanted or _text(profile, "remote")
        if not _text(_dict(config, "remotes"), wanted):
            raise Coded(Code.POLICY, "failed to find remote in remotes section")
    else:
        _check_times(profile)
    for policy in _list(profile, "Policies"):
        for qualifier in _list(policy, "Qualifiers"):
            if _text(qualifier, "Type") not in {"", *QUALIFIERS}:
                raise Coded(Code.POLICY, "invalid policy qualifier type")
    for section, name, what in (
        (profile, "auth_key", "auth_key"),
        (profile, "prev_auth_key", "prev_auth_key"),
        (_dict(profile, "auth_remote"), "auth_key", "auth_remote's auth_key"),
    ):
        if key := _text(section, name):
            _check_key(_dict(config, "auth_keys").get(key), what)
    try:
        re.compile(_text(profile, "name_whitelist"))
    except (re.error, OverflowError, RecursionError) as bad:
        raise Coded(Code.POLICY, "failed to compile name whitelist section") from bad
    _check_lints(profile)


def _check_lints(profile: Fields) -> None:
    """Sources before names; blanks around either do not count."""
    sources, names = (
        [str(name).strip() for name in _list(profile, key)] for key in ("ignored_lint_sources", "ignored_lints")
    )
    if not sources and not names:
        return
    from groundplane.pki.lint.model import SOURCES
    from groundplane.pki.lint.registry import is_known

    for source, written in zip(sources, _list(profile, "ignored_lint_sources"), strict=True):
        if source not in SOURCES:
            told = f"failed to build excluded lint source list: unknown source {gotext.quote(str(written))}"
            raise Coded(Code.POLICY, told)
    for name in names:
        if not is_known(name):
            raise Coded(Code.POLICY, f"failed to build filtered lint registry: unknown lint name {gotext.quote(name)}")


def _check_times(profile: Fields) -> None:
    expiry, backdate = _text(profile, "expiry"), _text(profile, "backdate")
    if not expiry:
        raise Coded(Code.POLICY, "empty expiry string")
    for text in filter(None, (expiry, backdate)):
        try:
            gotext.duration(text)
        except Plain as bad:
            raise Coded(Code.POLICY, str(bad)) from bad


def _check_key(key: object, name: str) -> None:
    if not isinstance(key, dict):
        raise Coded(Code.POLICY, f"failed to find {name} in auth_keys section")
    if _text(key, "type") != "standard":
        raise Coded(Code.POLICY, "unknown authentication type")
    text = _text(key, "key")
    if not text.startswith(("env:", "file:")) and not re.fullmatch(r"(?:[0-9A-Fa-f]{2})*", text):
        raise Coded(Code.POLICY, "failed to create new standard auth provider")


def _is_valid(profile: Fields) -> bool:
    usages = profile.get("usages")
    known = isinstance(usages, list) and any(usage in USAGES for usage in usages)
    return known and bool(gotext.duration(_text(profile, "expiry")))


def _is_level_valid(profile: Fields) -> bool:
    level = profile.get("lint_error_level")
    return not isinstance(level, int) or 0 <= level <= _HIGHEST_LEVEL


def _is_remote_valid(profile: Fields) -> bool:
    """Who is asked with a token needs an address, and who has an address needs a token."""
    authenticated = _dict(profile, "auth_remote")
    return bool(_text(authenticated, "remote")) == bool(_text(authenticated, "auth_key"))


def _has_local(profile: Fields) -> bool:
    said = any(profile.get(name) not in (None, "", _NO_TIME) for name in _LOCAL)
    return said or bool(_list(profile, "ct_log_servers")) or _dict(profile, "ca_constraint").get("is_ca") is True


def _is_remote(profile: Fields) -> bool:
    return bool(_text(profile, "remote") or _text(_dict(profile, "auth_remote"), "remote"))


def _text(fields: object, name: str) -> str:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, str) else ""


def _dict(fields: object, name: str) -> Fields:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, dict) else {}


def _list(fields: object, name: str) -> list[object]:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, list) else []
