"""JSON as Go's encoder writes it: compact, or indented; `<`, `>`, `&` and the two line separators escaped."""

import json
import re

_ODD = "<>&\u2028\u2029\x7f"
_ESCAPED = re.compile("[<>&\u2028\u2029\x7f]")
_NO_TEXT = re.compile("[\ud800-\udfff]")  # bytes that are not UTF-8, as Python keeps them


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact(value: object) -> str:
    """On one line, without blanks. The caller orders the keys."""
    return _escape(_COMPACT.encode(value))


def indented(value: object) -> str:
    """Two blanks for each level; an empty array or object stays on its line."""
    return _NO_TEXT.sub(r"\\ufffd", _escape(json.dumps(value, ensure_ascii=False, indent=2)))


def _escape(text: str) -> str:
    # Outside strings none of these occurs, so the whole text can be treated alike. Go leaves DEL as it is.
    if "\\b" in text or "\\f" in text:
        text = text.replace("\\b", "\\u0008").replace("\\f", "\\u000c")
    if not any(odd in text for odd in _ODD):  # certificates have none
        return text
    return _ESCAPED.sub(lambda found: found[0] if found[0] == "\x7f" else f"\\u{ord(found[0]):04x}", text)
