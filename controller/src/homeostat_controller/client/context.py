"""Which controller a command speaks to, and the token it shows there.

Looked for in this order: `--server` with `--token-file`; the data folder of a controller on this machine
(`--data-dir`, HOMEOSTAT_DATA_DIR); what `homeostat login` stored. A token is only ever read from a file, and never
sent in the clear to another machine.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from homeostat_controller.client.client import Client, Target
from homeostat_controller.client.exits import CommandError, Exit

FILE_BYTES_MAX = 64 << 10
# Written by the controller into its own data folder, readable by its owner only.
TOKEN_FILE = "admin.token"  # noqa: S105  # the name of a file, not a secret
ADDRESS_FILE = "http.address"
_LOGIN = "homeostat login URL < token-file"


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line said; empty texts where it said nothing."""

    server: str = ""
    token_file: str = ""
    data_dir: str = ""


def connect(given: Given, environ: Mapping[str, str] = os.environ) -> Client:
    """Return a client for the controller that is meant.

    Raises CommandError when none is known or its address cannot be used.
    """
    return Client(find(given, environ))


def find(given: Given, environ: Mapping[str, str]) -> Target:
    """Return the controller that is meant; raises CommandError when there is none."""
    data_dir = given.data_dir or ("" if given.server else environ.get("HOMEOSTAT_DATA_DIR", ""))
    if given.server:
        token = _token_for(given, environ)
        return Target(checked_url(given.server), token)
    if data_dir:
        return _own(Path(data_dir))
    return stored(environ)


def stored(environ: Mapping[str, str]) -> Target:
    """Return what `homeostat login` stored; raises CommandError when nothing is."""
    path = file(environ)
    try:
        document = json.loads(_read(path))
        return Target(checked_url(document["url"]), document["token"])
    except FileNotFoundError:
        raise CommandError("No controller is known.", f"{path} does not exist.", _LOGIN, Exit.USAGE) from None
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{path} cannot be read.", "It is not what `homeostat login` writes.", _LOGIN) from None


def store(target: Target, environ: Mapping[str, str]) -> Path:
    """Remember a controller; the file is readable by its owner only, from the first byte on."""
    path = file(environ)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump({"url": target.url, "token": target.token}, stream)
    fresh.replace(path)
    return path


def forget(environ: Mapping[str, str]) -> bool:
    """Forget the controller; say whether one was known."""
    path = file(environ)
    known = path.exists()
    path.unlink(missing_ok=True)
    return known


def file(environ: Mapping[str, str]) -> Path:
    """Return where the context is kept."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(home) / "homeostat" / "context.json"


def checked_url(url: str) -> str:
    """Return an address without its trailing slash.

    Raises CommandError for one that is no address, or that would carry the token in the clear over a network.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.username:
        raise CommandError(f"{url!r} is no address.", "", "Write it as http://127.0.0.1:8440.", Exit.USAGE)
    if parts.scheme == "http" and not _is_loopback(host):
        raise CommandError(
            f"{url} would carry the token in the clear.",
            "Plain http is for this machine only.",
            "Use https, or an SSH tunnel to 127.0.0.1.",
            Exit.USAGE,
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token_for(given: Given, environ: Mapping[str, str]) -> str:
    path = given.token_file or environ.get("HOMEOSTAT_TOKEN_FILE", "")
    return _read_named(Path(path)) if path else ""


def _own(data_dir: Path) -> Target:
    token = _read_named(data_dir / TOKEN_FILE)
    return Target(checked_url(_read_named(data_dir / ADDRESS_FILE)), token)


def _read_named(path: Path) -> str:
    try:
        return _read(path).strip()
    except FileNotFoundError:
        raise CommandError(f"{path} does not exist.", "", "homeostat controller init --help", Exit.USAGE) from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read.", str(error), "Run as the user that owns it.") from None


def _read(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(FILE_BYTES_MAX).decode("utf-8")
