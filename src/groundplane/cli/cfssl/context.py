"""What a command gets: its flags by name, its arguments, the log, the signing policy, and files by CFSSL's rules."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.flags import Value
from groundplane.pki.cfssl.journal import Journal

if TYPE_CHECKING:
    from groundplane.pki.cfssl.config import Config


@dataclass(slots=True, kw_only=True)
class Context:
    """One call of one command. `arguments` are consumed from the front."""

    command: str
    values: dict[str, Value]
    arguments: list[str]
    journal: Journal
    config: "Config | None" = field(default=None)

    def text(self, name: str) -> str:
        """A flag's text; empty for one that this program does not have."""
        return str(self.values.get(name, ""))

    def on(self, name: str) -> bool:
        """Whether a bool is set."""
        return self.values.get(name, False) is True

    def load_config(self) -> None:
        """Read -config, if given. Raises CfsslError."""
        if not (path := self.text("config")):
            return
        from groundplane.pki.cfssl.config import load_config

        try:
            data = Path(path).read_bytes()
        except OSError as bad:
            raise Coded(Code.POLICY, "could not read configuration file") from bad
        self.config = load_config(data, source=path)
        for line in self.config.skipped():
            self.journal.warning(line)

    def pop(self) -> str:
        """The next argument. Raises Plain if there is none."""
        if not self.arguments:
            raise Plain("not enough arguments are supplied --- please refer to the usage")
        return self.arguments.pop(0)

    def refuse_more(self) -> None:
        """Raises Plain for arguments that are left over."""
        if self.arguments:
            raise Plain("too many arguments are provided, please check with usage")


def read_input(name: str) -> bytes:
    """A file, or standard input for `-`. Raises Plain with Go's words."""
    if name == "-":
        try:
            return sys.stdin.buffer.read()
        except OSError as bad:
            raise Plain(go_error("read", "/dev/stdin", bad)) from bad
    return read_file(name)


def read_file(name: str) -> bytes:
    """A file. Raises Plain with Go's words."""
    try:
        return Path(name).read_bytes() if name else _missing()
    except OSError as bad:
        is_directory = isinstance(bad, IsADirectoryError)
        raise Plain(go_error("read" if is_directory else "open", name, bad)) from bad


def read_prefixed(name: str) -> bytes:
    """A file, `file:PATH`, or the content of a variable for `env:NAME`. Raises Plain."""
    prefix, colon, rest = name.partition(":")
    if not colon:
        return read_file(name)
    if prefix == "env":
        return os.environ.get(rest, "").encode()
    if prefix == "file":
        return read_file(rest)
    raise Plain(f"unknown prefix: {prefix}")


def go_error(verb: str, name: str, bad: OSError) -> str:
    """As Go says it: `open nofile: no such file or directory`."""
    return f"{verb} {name}: {(bad.strerror or str(bad)).lower()}"


def _missing() -> bytes:
    raise FileNotFoundError(2, "No such file or directory")
