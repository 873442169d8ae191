"""A real systemd to test against: Debian in a container of systemd-nspawn, booted in about a second.

The root file system is made once (half a minute) and kept in CACHE; each container gets a throw-away layer above it, so
tests neither see nor spoil what another one did. Use it as

    from fixtures_systemd import booted, container_tools

    pytestmark = [pytest.mark.systemd, container_tools]

    @pytest.fixture(scope="module")
    def container(tmp_path_factory):
        with booted(tmp_path_factory.mktemp("container")) as container:
            yield container

The container shares the network of this machine: listen nowhere but on the loopback, on ports chosen by the system.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.processes import until

CACHE = Path("/var/cache/homeostat-tests")
SUITE = "bookworm"
PACKAGES = "systemd,systemd-sysv,dbus,procps"
# A change of what is in it is a new name; the old one can be removed by hand.
ROOT = CACHE / f"{SUITE}-systemd-1"
MAKE_S = 600
BOOT_S = 60.0
RUN_S = 60
# This machine's first process is no systemd: hence nothing is registered with it, and the unit is kept.
NSPAWN = ("systemd-nspawn", "-q", "-b", "--register=no", "--keep-unit", "--console=pipe")
TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter", "mount", "umount")

container_tools = pytest.mark.skipif(
    os.geteuid() != 0 or any(shutil.which(one) is None for one in TOOLS),
    reason="needs root and apt-get install systemd-container mmdebstrap",
)


@dataclass(frozen=True)
class Container:
    """A booted machine. `pid` is its systemd as this machine numbers it, `root` its files as this machine sees them."""

    pid: int
    root: Path

    @property
    def bus(self) -> str:
        """The address of its system bus, from here."""
        return f"unix:path=/proc/{self.pid}/root/run/dbus/system_bus_socket"

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a program inside and return what it wrote."""
        done = subprocess.run(
            [*self.inside(), *argv],
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def inside(self) -> list[str]:
        """Return the argv before a program's own that runs it inside."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "env", "-i", path]

    def write(self, path: str, text: str) -> None:
        """Write a file inside."""
        target = Path(f"/proc/{self.pid}/root{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def service(self, name: str, *lines: str) -> None:
        """Make and start a unit with these lines in its service section."""
        self.write(f"/etc/systemd/system/{name}", "\n".join(["[Service]", *lines, ""]))
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "start", name)

    def state(self, name: str, field: str) -> str:
        """Return one property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={field}", name).strip()


@contextmanager
def booted(folder: Path, *, read_only: tuple[Path, ...] = ()) -> Iterator[Container]:
    """Boot a container above the kept root file system; `read_only` are folders of this machine it sees too.

    `folder` holds its layer and log, and is empty of mounts when the container has been shut down.
    """
    _make_root()
    with _layer(folder) as root:
        machine = f"homeostat-{os.getpid()}-{folder.stat().st_ino}"
        binds = [f"--bind-ro={path}" for path in read_only]
        with (folder / "boot.log").open("wb") as log:
            child = subprocess.Popen(
                [*NSPAWN, "-D", str(root), f"--machine={machine}", *binds],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        try:
            container = Container(_systemd_of(child, folder), root)
            until(lambda: _is_up(container), f"the container is up: see {folder}/boot.log", BOOT_S)
            yield container
        finally:
            _shut_down(child)


def _make_root() -> None:
    """Make the root file system if it is not there; whoever comes meanwhile waits."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ROOT.exists():
            return
        scratch = ROOT.with_suffix(".new")
        shutil.rmtree(scratch, ignore_errors=True)
        argv = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={PACKAGES}", SUITE, str(scratch)]
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=MAKE_S, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            pytest.skip(f"no root file system could be made: {done.stderr.strip()[-300:]}")
        (scratch / "etc/machine-id").write_text("")
        scratch.rename(ROOT)


@contextmanager
def _layer(folder: Path) -> Iterator[Path]:
    root = folder / "root"
    for one in ("root", "upper", "work"):
        (folder / one).mkdir()
    options = f"lowerdir={ROOT},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(root)], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", str(root)], check=True)


def _systemd_of(nspawn: "subprocess.Popen[bytes]", folder: Path) -> int:
    """Wait for the container's first process: nspawn's child of the name systemd."""
    found: list[int] = []

    def look() -> bool:
        if nspawn.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended: {(folder / 'boot.log').read_text('utf-8', 'replace')[-1000:]}")
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
        found[:] = [int(pid) for pid in children if _name(pid) == "systemd"]
        return bool(found)

    until(look, "the container's systemd", BOOT_S)
    return found[0]


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _is_up(container: Container) -> bool:
    return container.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")


def _shut_down(nspawn: "subprocess.Popen[bytes]") -> None:
    """Tell nspawn to power off; killing it would leave the container's systemd behind."""
    nspawn.terminate()
    try:
        nspawn.wait(BOOT_S)
    except subprocess.TimeoutExpired:
        for pid in Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split():
            os.kill(int(pid), 9)
        nspawn.kill()
        nspawn.wait()
        raise
