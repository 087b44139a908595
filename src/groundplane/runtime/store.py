"""What the runtime knows of its own host: one SQLite file, with all of it in memory as well.

A record is written before the step it describes can no longer be taken back. Readers use the dictionaries, which hold
frozen values and are replaced one entry at a time: a list or a status never waits for anything.

Durability: every commit survives the daemon's death (WAL). `durable=True` also survives a power cut, at the price of an
fsync; it is asked for only where something outside this host's memory would be left behind, such as an address.
A record that cannot be read any more is set aside in `quarantine`, not thrown away, and the rest is served.
"""

import sqlite3
import threading
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from groundplane.decoding import UNREADABLE
from groundplane.observe import logger
from groundplane.runtime.model import Container, ContainerID, Sandbox, SandboxID, container_name

T = TypeVar("T", Sandbox, Container)
K = TypeVar("K", SandboxID, ContainerID)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sandbox (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS container (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (id TEXT, kind TEXT, record BLOB, why TEXT);
"""


class _Table(Generic[K, T]):
    """One kind of record, by id."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock, name: str, kind: type[T]) -> None:
        self._connection = connection
        self._lock = lock
        self._name = name
        self._decode: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self.all: dict[K, T] = {}

    def load(self) -> None:
        found: dict[K, T] = {}
        rows = self._connection.execute(f"SELECT id, record FROM {self._name}").fetchall()  # noqa: S608 - our own name
        for identity, data in rows:
            try:
                found[identity] = self._decode.decode(data)
            except UNREADABLE as bad:
                logger("cri").error("store.quarantine", id=identity, table=self._name, why=str(bad))
                with self._connection:
                    self._connection.execute(
                        "INSERT INTO quarantine VALUES (?, ?, ?, ?)", (identity, self._name, data, str(bad))
                    )
                    self._connection.execute(f"DELETE FROM {self._name} WHERE id = ?", (identity,))  # noqa: S608
        self.all = found

    def put(self, value: T, *, durable: bool = False) -> None:
        data = msgspec.json.encode(value)
        with self._lock:
            if durable:
                self._connection.execute("PRAGMA synchronous = FULL")
            try:
                with self._connection:
                    self._connection.execute(
                        f"INSERT OR REPLACE INTO {self._name} VALUES (?, ?)",  # noqa: S608 - our own name
                        (value.id, data),
                    )
            finally:
                if durable:
                    self._connection.execute("PRAGMA synchronous = NORMAL")
            identity: Any = value.id  # the type of ids goes with the type of records, which typing cannot say
            self.all[identity] = value

    def delete(self, identity: K) -> None:
        with self._lock:
            with self._connection:
                self._connection.execute(f"DELETE FROM {self._name} WHERE id = ?", (identity,))  # noqa: S608 - our own
            self.all.pop(identity, None)


class Store:
    """Records of sandboxes and containers, and a few facts (the boot they belong to)."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level="DEFERRED", check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)
        lock = threading.Lock()  # durable writes come from worker threads
        self.sandboxes: _Table[SandboxID, Sandbox] = _Table(self._connection, lock, "sandbox", Sandbox)
        self.containers: _Table[ContainerID, Container] = _Table(self._connection, lock, "container", Container)
        self.sandboxes.load()
        self.containers.load()

    def close(self) -> None:
        """Flush and close."""
        self._connection.close()

    def fact(self, key: str) -> str:
        """A remembered fact, or ""."""
        row = self._connection.execute("SELECT value FROM fact WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def remember(self, key: str, value: str) -> None:
        """Keep a fact."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (key, value))

    def sandbox_named(self, name: str) -> Sandbox | None:
        """The sandbox that has reserved `name`."""
        return next((one for one in self.sandboxes.all.values() if one.spec.name == name), None)

    def containers_of(self, sandbox: SandboxID) -> list[Container]:
        """Its containers, oldest first."""
        found = [one for one in self.containers.all.values() if one.sandbox_id == sandbox]
        return sorted(found, key=lambda one: one.created_ns)

    def container_named(self, name: str, sandbox: Sandbox) -> Container | None:
        """The container of `sandbox` that has reserved `name`."""
        for one in self.containers_of(sandbox.id):
            if container_name(one.spec, sandbox.spec.metadata) == name:
                return one
        return None
