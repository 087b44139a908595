"""Signals by name, as image configs and CRI spell them, purely."""

import signal

from groundplane.errors import Invalid

RTMIN, RTMAX = 34, 64  # glibc's; the kernel's 32 and 33 are taken by its threads
_NUMBERS = {member.name.removeprefix("SIG"): int(member) for member in signal.Signals}
_NUMBERS |= {"CLD": 17, "POLL": 29, "IOT": 6, "STKFLT": 16, "RTMIN": RTMIN, "RTMAX": RTMAX}


def parse(text: str) -> int:
    """`TERM`, `SIGTERM`, `15`, `SIGRTMIN+3`, `RTMAX-2`, and CRI's `SIGRTMINPLUS3`. Raises Invalid."""
    name = text.strip().upper().removeprefix("SIGNAL_").removeprefix("SIG")
    name = name.replace("PLUS", "+").replace("MINUS", "-")
    if name.isdigit():
        number = int(name)
    elif "+" in name or "-" in name:
        sign = "+" if "+" in name else "-"
        base, _, offset = name.partition(sign)
        if base not in {"RTMIN", "RTMAX"} or not offset.isdigit():
            raise _unknown(text)
        number = _NUMBERS[base] + (int(offset) if sign == "+" else -int(offset))
    elif name in _NUMBERS:
        number = _NUMBERS[name]
    else:
        raise _unknown(text)
    if not 1 <= number <= RTMAX:
        raise _unknown(text)
    return number


def _unknown(text: str) -> Invalid:
    return Invalid(f"{text!r} is not a signal", to="stop signal", hint="use a name of signal(7) or a number to 64")


def cri_name(number: int) -> str:
    """CRI's enum name for `number`, such as SIGNAL_SIGRTMINPLUS3; SIGNAL_RUNTIME_DEFAULT for 0."""
    if number == 0:
        return "SIGNAL_RUNTIME_DEFAULT"
    if number in _CRI:
        return _CRI[number]
    name = next((m.name for m in signal.Signals if int(m) == number), None)
    return f"SIGNAL_{name}" if name else "SIGNAL_RUNTIME_DEFAULT"


_HALF = 15  # CRI counts up from RTMIN to +15, then down from RTMAX
_CRI = {RTMIN: "SIGNAL_SIGRTMIN", RTMAX: "SIGNAL_SIGRTMAX"}
_CRI |= {RTMIN + n: f"SIGNAL_SIGRTMINPLUS{n}" for n in range(1, _HALF + 1)}
_CRI |= {RTMAX - n: f"SIGNAL_SIGRTMAXMINUS{n}" for n in range(1, _HALF)}
