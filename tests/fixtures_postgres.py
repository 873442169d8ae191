"""A real PostgreSQL for tests: Debian's programs, a folder of its own, a socket in it and no port."""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

START_S_MAX = 60.0
_USER = "postgres"


@dataclass
class Postgres:
    """A running server; each call of `create` gives the URL of a database of its own."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def create(self) -> str:
        name = f"homeostat_{next(self.numbers)}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql://{_USER}@/{name}?host={self.folder}"

    def answers(self) -> bool:
        try:
            psycopg.connect(self._conninfo("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _conninfo(self, name: str) -> str:
        return f"host={self.folder} user={_USER} dbname={name}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    binaries = programs[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="homeostat-pg-", dir="/tmp"))  # a socket's path must be short
    if os.geteuid() == 0:
        shutil.chown(folder, _USER, _USER)
    data = folder / "data"
    initdb: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        _USER,
        "--auth=trust",
        "--encoding=UTF8",
        "--no-locale",
        "-N",
    ]
    subprocess.run(_as_user(initdb), check=True, capture_output=True)
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "max_connections=300"]
    options = [part for setting in settings for part in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(_as_user([binaries / "postgres", "-D", data, *options]), stdout=log, stderr=log)
    server = Postgres(folder)
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(START_S_MAX)
        shutil.rmtree(folder, ignore_errors=True)


def _as_user(argv: list[str | Path]) -> list[str]:
    """PostgreSQL refuses to run as root; Debian's own user for it is at hand where we are root."""
    drop = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"] if os.geteuid() == 0 else []
    return [*drop, *map(str, argv)]


def _wait(server: Postgres, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_S_MAX
    while not server.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"PostgreSQL did not start:\n{(server.folder / 'log').read_text()}")
        time.sleep(0.05)
