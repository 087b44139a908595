"""JSON as Go's encoder writes it: compact, or indented; `<`, `>`, `&` and the two line separators escaped."""

import json
import re

_ODD = "<>&\u2028\u2029"
_ESCAPED = re.compile(f"[{_ODD}]")
_SHORT = {"\\b": "\\u0008", "\\f": "\\u000c"}
_BACKSLASH = re.compile(r"\\.")  # with what follows: two of them are one that is meant
_NO_TEXT = re.compile("[\ud800-\udfff]")  # bytes that are not UTF-8, as Python keeps them


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact(value: object) -> str:
    """On one line, without blanks. The caller orders the keys."""
    return _escape(_COMPACT.encode(value))


def indented(value: object) -> str:
    """Two blanks for each level; an empty array or object stays on its line."""
    return _NO_TEXT.sub(r"\\ufffd", _escape(json.dumps(value, ensure_ascii=False, indent=2)))


def _escape(text: str) -> str:
    # Outside strings none of these occurs, so the whole text can be treated alike.
    if any(short in text for short in _SHORT):
        text = _BACKSLASH.sub(lambda found: _SHORT.get(found[0], found[0]), text)
    if not any(odd in text for odd in _ODD):  # certificates have none
        return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
