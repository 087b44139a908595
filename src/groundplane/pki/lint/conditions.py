"""When a rule applies, and the checks that many rules share. Each takes a View and says yes or no."""

from groundplane.pki.lint.model import Condition
from groundplane.pki.lint.view import View


def always(_: View) -> bool:
    """To every certificate."""
    return True


def has(oid: str) -> Condition:
    """To those with the extension."""
    return lambda view: oid in view


def critical(oid: str) -> Condition:
    """Whether the extension is marked critical."""
    return lambda view: view.critical(oid)


def not_critical(oid: str) -> Condition:
    """Whether the extension is there, and not marked critical, or not there."""
    return lambda view: not view.critical(oid)


def is_ca(view: View) -> bool:
    """To CAs."""
    return view.is_ca


def is_leaf(view: View) -> bool:
    """To all but CAs."""
    return not view.is_ca


def is_root(view: View) -> bool:
    """To CAs that signed themselves."""
    return view.is_root


def is_subordinate(view: View) -> bool:
    """To CAs that others signed."""
    return view.is_subordinate


def is_subscriber(view: View) -> bool:
    """To those that are neither CAs nor self-signed."""
    return view.is_subscriber


def names_hosts(view: View) -> bool:
    """To subscribers' with a common name or a DNS name."""
    return view.is_subscriber and bool(view.common_name or view.san.dns)


def both(*conditions: Condition) -> Condition:
    """Where all of them hold."""
    return lambda view: all(condition(view) for condition in conditions)
