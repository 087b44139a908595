"""A plugin's error object, as an exception and as JSON. The codes below 100 are the specification's.

`errors.Kind` says the code of each kind of failure; the exceptions here add the specification's codes that are finer
than a kind (4 and 6 are both "the caller's fault") and carry a foreign plugin's own code through unchanged.
"""

from collections.abc import Mapping
from typing import Any

from groundplane.errors import Failed, GroundplaneError, Kind, Unavailable

INCOMPATIBLE_VERSION, UNSUPPORTED_FIELD, CONTAINER_UNKNOWN, BAD_ENVIRONMENT = 1, 2, 3, 4
IO_FAILURE, DECODE_FAILURE, BAD_CONFIG, TRY_AGAIN = 5, 6, 7, 11
NOT_AVAILABLE = 50


class PluginFailed(Failed):
    """A plugin answered with an error object; `code` is its own."""

    def __init__(self, happened: str, *, to: object, hint: str = "", code: int = 100, details: str = "") -> None:
        super().__init__(happened, to=to, hint=hint)
        self.code = code
        self.details = details


class PluginUnavailable(Unavailable):
    """A plugin answered "try again later" (code 11), or the agent does not answer."""

    code = TRY_AGAIN


def code_of(error: BaseException) -> int:
    """The code that an error object carries for `error`; an unforeseen exception is an I/O failure."""
    code = getattr(error, "code", None)
    if isinstance(error, GroundplaneError):
        return code if isinstance(code, int) else error.kind.cni_code
    return IO_FAILURE


def error_object(error: BaseException, *, version: str) -> dict[str, Any]:
    """The document that a failing plugin writes to its standard output."""
    if isinstance(error, GroundplaneError):
        document = {"code": code_of(error), "msg": f"{error.to}: {error.happened}", "details": error.hint}
    else:
        document = {"code": code_of(error), "msg": f"{type(error).__name__}: {error}", "details": ""}
    return {"cniVersion": version, **document}


def cni_error(document: Mapping[str, Any], *, plugin: str) -> GroundplaneError:
    """The exception for a plugin's error object."""
    code = document.get("code")
    code = code if isinstance(code, int) else 100
    message = str(document.get("msg") or "failed and gave no reason")
    details = str(document.get("details") or "")
    to = f"CNI plugin {plugin}"
    if code == TRY_AGAIN:
        return PluginUnavailable(message, to=to, hint=details)
    return PluginFailed(f"{message} (code {code})", to=to, hint=details, code=code, details=details)


def agent_error(document: Mapping[str, Any]) -> GroundplaneError:
    """The exception for the agent's own error answer: `kind`, `happened`, `to`, `hint` and `cni_code`."""
    kind = Kind.__members__.get(str(document.get("kind")), Kind.FAILED)
    happened = str(document.get("happened") or "failed and gave no reason")
    to, hint = str(document.get("to") or "agent"), str(document.get("hint") or "")
    if kind is Kind.UNAVAILABLE:
        return PluginUnavailable(happened, to=to, hint=hint)
    code = document.get("cni_code")
    for leaf in GroundplaneError.__subclasses__():
        if leaf.kind is kind and leaf.__module__ == GroundplaneError.__module__:
            error: GroundplaneError = leaf(happened, to=to, hint=hint)
            error.code = code if isinstance(code, int) else kind.cni_code  # type: ignore[attr-defined]
            return error
    return PluginFailed(happened, to=to, hint=hint, code=code if isinstance(code, int) else kind.cni_code)
