"""Real PostgreSQL and MariaDB servers for a test: on loopback, in a folder that goes with them.

    from tests.lab.databases import mariadb, postgres  # noqa: F401 - fixtures

    def test_it(postgres: Server) -> None:
        config = postgres.new_database()

One server serves a whole module; `new_database` gives each test an empty database. `kill` and `start` are for tests of
what happens to a client when its server goes away.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from groundplane.pki.certdb.model import DatabaseConfig

USER, PASSWORD = "keeper", "for the test"
_POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
_READY_WITHIN = 30.0


@dataclass(kw_only=True)
class Server:
    """A database server. `kind` is CFSSL's name of the driver, `owner` the user it runs as."""

    kind: str
    owner: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        argv = _postgres_argv(self) if self.kind == "postgres" else _mariadb_argv(self)
        with (self.folder / "server.log").open("ab") as log:
            self.process = _spawn(argv, self.owner, self.folder, log)
        end = time.monotonic() + _READY_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.02)  # neither of them tells when it is ready

    def kill(self) -> None:
        """As a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order, without waiting for clients."""
        self._end(signal.SIGINT if self.kind == "postgres" else signal.SIGTERM)

    def new_database(self) -> DatabaseConfig:
        """An empty database, and how CFSSL's drivers name it."""
        name = f"certs{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return DatabaseConfig(driver=self.kind, data_source=self.data_source(name))

    def data_source(self, name: str) -> str:
        """In CFSSL's form."""
        if self.kind == "postgres":
            password = PASSWORD.replace(" ", "%20")
            return f"postgres://{USER}:{password}@127.0.0.1:{self.port}/{name}?sslmode=disable"
        return f"{USER}:{PASSWORD}@tcp(127.0.0.1:{self.port})/{name}?parseTime=true"

    def execute(self, statement: str, *, database: str = "") -> list[tuple[object, ...]]:
        """Run it as the server's own user; rows, if it has any."""
        if self.kind == "postgres":
            import psycopg

            with psycopg.connect(
                host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database or "postgres",
                autocommit=True, connect_timeout=5,
            ) as postgres_connection:  # fmt: skip
                cursor = postgres_connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []
        import pymysql

        with pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            database=database or "mysql",
            autocommit=True,
        ) as connection:
            mysql_cursor = connection.cursor()
            mysql_cursor.execute(statement)
            return list(mysql_cursor.fetchall())

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever its driver says: not yet
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(timeout=30)
            self.process = None


@contextlib.contextmanager
def running(kind: str) -> Iterator[Server]:
    """A server of `kind`, postgres or mysql, as long as the block lasts."""
    owner = kind if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix=f"gp-{kind}-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, owner, owner)
        server = Server(kind=kind, owner=owner, folder=folder, port=_free_port())
        _initialise(server)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """PostgreSQL, for one module of tests."""
    with running("postgres") as server:
        yield server


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    """MariaDB, for one module of tests."""
    with running("mysql") as server:
        yield server


def _initialise(server: Server) -> None:
    data = server.folder / "data"
    if server.kind == "postgres":
        secret = server.folder / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o644)
        argv = [str(_POSTGRES_BIN / "initdb"), "-D", str(data), "-U", USER, f"--pwfile={secret}", "--no-sync"]
        _finish([*argv, "--auth=scram-sha-256", "--no-locale", "--encoding=UTF8"], server)
        return
    argv = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    _finish([*argv, "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=8M"], server)
    first = server.folder / "first.sql"
    first.write_text(
        f"CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
        f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    first.chmod(0o644)


def _postgres_argv(server: Server) -> list[str]:
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(server.folder), "port": server.port}
    settings |= {"shared_buffers": "32MB", "max_connections": 100}
    words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return [str(_POSTGRES_BIN / "postgres"), "-D", str(server.folder / "data"), *words]


def _mariadb_argv(server: Server) -> list[str]:
    folder = server.folder
    argv = ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/sock"]
    argv += [f"--pid-file={folder}/pid", f"--port={server.port}", "--bind-address=127.0.0.1", "--skip-name-resolve"]
    argv += [f"--init-file={folder}/first.sql", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M"]
    return argv


def _finish(argv: list[str], server: Server) -> None:
    process = _spawn(argv, server.owner, server.folder, subprocess.PIPE)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output.decode(errors="replace")[-2000:]


def _spawn(argv: list[str], owner: str, folder: Path, output: object) -> subprocess.Popen[bytes]:
    # Both servers refuse to run as root. In a session of its own, so that ^C leaves the ending to us.
    who = {"user": owner, "group": owner, "extra_groups": []} if os.getuid() == 0 else {}
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        argv,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": str(folder)},
        start_new_session=True,
        **who,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
