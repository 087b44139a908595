"""Who a container's process is: CRI's and the image's wishes resolved in the image's own passwd and group, purely.

Refuses: a name that is not in the files, a group without a user (CRI's rule), a number beyond 32 bits.
"""

from dataclasses import dataclass

from groundplane.errors import Invalid
from groundplane.runtime.model import Identity, Security

_HIGHEST = 2**32 - 2  # 2**32 - 1 is chown(2)'s "leave as it is"


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: frozenset[str]


def _lines(text: str, least: int) -> list[list[str]]:
    fields = (line.split(":") for line in text.splitlines() if line and not line.startswith("#"))
    return [one for one in fields if len(one) >= least]


def _accounts(passwd: str) -> list[_Account]:
    return [
        _Account(one[0], int(one[2]), int(one[3])) for one in _lines(passwd, 4) if one[2].isdigit() and one[3].isdigit()
    ]


def _groups(group: str) -> list[_Group]:
    return [
        _Group(one[0], int(one[2]), frozenset(filter(None, (one[3] if len(one) > 3 else "").split(","))))  # noqa: PLR2004
        for one in _lines(group, 3)
        if one[2].isdigit()
    ]


def _number(number: int, what: str) -> int:
    if not 0 <= number <= _HIGHEST:
        raise Invalid(f"{number} is not a {what} id", to="security context", hint=f"use 0 to {_HIGHEST}")
    return number


def resolve(security: Security, *, image_user: str, passwd: str, group: str) -> Identity:
    """The process's uid, gid and groups: CRI's `run_as_…` first, else the image's `User`, else root."""
    accounts, groups = _accounts(passwd), _groups(group)
    if security.run_as_user is not None and security.run_as_username:
        raise Invalid("run_as_user and run_as_username exclude each other", to="security context")
    user_text, group_text = "", ""
    if security.run_as_user is not None:
        user_text = str(_number(security.run_as_user, "user"))
    elif security.run_as_username:
        user_text = security.run_as_username
    elif security.run_as_group is not None:
        raise Invalid(
            "run_as_group needs run_as_user or run_as_username", to="security context", hint="give the user as well"
        )
    else:
        user_text, _, group_text = image_user.partition(":")
    account = _account(user_text, accounts)
    gid = account.gid
    if group_text:
        gid = _group(group_text, groups)
    if security.run_as_group is not None:
        gid = _number(security.run_as_group, "group")
    extra = {_number(one, "group") for one in security.supplemental_groups}
    if not security.strict_groups:
        extra |= {one.gid for one in groups if account.name and account.name in one.members}
    return Identity(uid=account.uid, gid=gid, groups=tuple(sorted(extra | {gid})))


def _account(text: str, accounts: list[_Account]) -> _Account:
    if not text:
        text = "0"
    if text.isdigit():
        uid = _number(int(text), "user")
        return next((one for one in accounts if one.uid == uid), _Account("", uid, 0))
    for one in accounts:
        if one.name == text:
            return one
    raise Invalid(f"no user {text!r} in the image's /etc/passwd", to="security context", hint="use a number")


def _group(text: str, groups: list[_Group]) -> int:
    if text.isdigit():
        return _number(int(text), "group")
    for one in groups:
        if one.name == text:
            return one.gid
    raise Invalid(f"no group {text!r} in the image's /etc/group", to="security context", hint="use a number")
