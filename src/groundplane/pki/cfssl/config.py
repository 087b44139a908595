"""The signing policy by CFSSL's rules: what it refuses, in its words, and what it lets pass.

The shapes and texts are checked here; the profiles themselves are read by `pki.wire`, leniently. What that refuses
although CFSSL takes it (a lifetime of less than nothing, a URL with blanks) is refused with CFSSL's code.
"""

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
)
from groundplane.pki.model import USAGES, Profile, SigningPolicy
from groundplane.pki.wire import parse_policy
from groundplane.pki.wire.policy import QUALIFIERS, REQUEST_FIELDS

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
        "lint_error_level": INT,
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
_DEFAULT: Fields = {"usages": list(BUILTIN.usages), "expiry": "8760h"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The policy, and its profiles as they were written: what `info` says, and which are for remotes."""

    policy: SigningPolicy
    default: Fields
    profiles: Mapping[str, Fields] = field(default_factory=dict)
    auth_keys: Mapping[str, str] = field(default_factory=dict, repr=False)

    def written(self, name: str) -> Fields:
        """The profile as it was written; the default's for a name that is not known."""
        return self.profiles.get(name, self.default)

    def profile(self, name: str) -> Profile:
        """The profile to sign with. Raises Coded for an unknown one in a policy that is for remotes in part only."""
        remote = {profile: _is_remote(fields) for profile, fields in self.profiles.items()}
        mixed = len({*remote.values(), _is_remote(self.default)}) > 1
        if mixed and name and name not in self.profiles:
            raise Coded(Code.PROFILE_UNKNOWN)
        if _is_remote(self.written(name)):
            raise Plain("signing at a remote is not built into groundplane")
        return self.policy.profiles.get(name, self.policy.default)


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
    default = signing.get("default")
    for profile in ([default] if isinstance(default, dict) else []) + list(profiles.values()):
        _check(profile, fields)
    if isinstance(default, dict) and not _is_remote(default) and not gotext.duration(_text(default, "expiry")):
        raise Coded(Code.POLICY, "invalid configuration")
    if not all(_is_remote(profile) or _is_valid(profile) for profile in profiles.values()):
        raise Coded(Code.POLICY, "invalid configuration")
    try:
        policy = parse_policy(data, source=source, strict=False)
    except Invalid as bad:
        raise Coded(Code.POLICY, str(bad)) from bad
    return Config(
        policy=policy,
        default=default if isinstance(default, dict) else _DEFAULT,
        profiles=profiles,
        auth_keys={name: _text(key, "key") for name, key in _dict(fields, "auth_keys").items()},
    )


def _check(profile: Fields, config: Fields) -> None:
    """What CFSSL checks of each profile as it is loaded, in its order."""
    if _is_remote(profile):
        wanted = _text(_dict(profile, "auth_remote"), "remote") or _text(profile, "remote")
        if not _text(_dict(config, "remotes"), wanted):
            raise Coded(Code.POLICY, "failed to find remote in remotes section")
    else:
        _check_times(profile)
    for policy in _list(profile, "Policies"):
        for qualifier in _list(policy, "Qualifiers"):
            if _text(qualifier, "Type") not in {"", *QUALIFIERS}:
                raise Coded(Code.POLICY, "invalid policy qualifier type")
    for section, name in (
        (profile, "auth_key"),
        (profile, "prev_auth_key"),
        (_dict(profile, "auth_remote"), "auth_key"),
    ):
        if key := _text(section, name):
            _check_key(_dict(config, "auth_keys").get(key), name)
    try:
        re.compile(_text(profile, "name_whitelist"))
    except (re.error, OverflowError, RecursionError) as bad:
        raise Coded(Code.POLICY, "failed to compile name whitelist section") from bad


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
