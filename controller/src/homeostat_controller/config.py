"""controller.toml → Settings. Every default is visible here; a missing field works, an unknown one is an error.

Invariant: no secret comes from the environment. HOMEOSTAT_* names set the plain fields only, and a database password
stands in the file (mode 0600) or in libpq's own password file.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from homeostat_controller.errors import Invalid

ENVIRONMENT = {
    "HOMEOSTAT_DATA_DIR": "data_dir",
    "HOMEOSTAT_DATABASE_URL": "database_url",
    "HOMEOSTAT_HTTP_LISTEN": "http_listen",
    "HOMEOSTAT_ENROL_LISTEN": "enrol_listen",
    "HOMEOSTAT_LINK_LISTEN": "link_listen",
    "HOMEOSTAT_NAMES": "names",
    "HOMEOSTAT_LOG_FORMAT": "log_format",
    "HOMEOSTAT_LOG_LEVEL": "log_level",
}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MethodLimit(_Table):
    """One call each `interval_s` per peer after a first `burst`, and `in_flight` at once from all peers together."""

    interval_s: float = Field(gt=0)
    burst: int = Field(ge=1)
    in_flight: int = Field(ge=1)


class Limits(_Table):
    """What peers may ask for. Sized for 5,000 endpoints on one controller."""

    # Many endpoints may come from one address, behind NAT or from one rollout.
    enrol: MethodLimit = MethodLimit(interval_s=0.05, burst=300, in_flight=64)
    enrol_token: MethodLimit = MethodLimit(interval_s=10.0, burst=10, in_flight=64)
    renew: MethodLimit = MethodLimit(interval_s=60.0, burst=5, in_flight=64)
    session: MethodLimit = MethodLimit(interval_s=2.0, burst=10, in_flight=256)
    session_message: MethodLimit = MethodLimit(interval_s=0.1, burst=100, in_flight=10_000)
    push_events: MethodLimit = MethodLimit(interval_s=0.05, burst=200, in_flight=2000)
    fetch_artifact: MethodLimit = MethodLimit(interval_s=1.0, burst=20, in_flight=128)
    check_in: MethodLimit = MethodLimit(interval_s=2.0, burst=20, in_flight=2000)
    sessions_max: int = Field(default=10_000, ge=1)
    inbox_rows_max: int = Field(default=20_000, ge=1)


class Settings(_Table):
    """The whole of controller.toml.

    The first of `names` is what agents are told to connect to; the server's certificate is good for all of them.
    """

    data_dir: Path = Field(default_factory=lambda: _default_data_dir())
    database_url: str = ""
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    http_listen: str = "127.0.0.1:8440"
    enrol_listen: str = "0.0.0.0:8441"  # endpoints come from elsewhere
    link_listen: str = "0.0.0.0:8442"
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    heartbeat_s: float = Field(default=30.0, gt=0, le=3600)
    stream_age_s: tuple[float, float] = (600.0, 1200.0)
    # An agent that does not read what it is sent for so long is cut off.
    slow_reader_s: float = Field(default=20.0, gt=0, le=600)
    # When the controller stops, agents come back spread over this long.
    return_s: float = Field(default=5.0, ge=0, le=600)
    certificate_life_h: float = Field(default=24.0, gt=0, le=24 * 90)
    grant_life_s: float = Field(default=900.0, gt=0, le=86_400)
    token_life_max_s: float = Field(default=7 * 86_400.0, gt=0)
    limits: Limits = Limits()

    @field_validator("http_listen", "enrol_listen", "link_listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("write host:port, such as 127.0.0.1:8440")
        return value

    @field_validator("names")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(value):
            raise ValueError("at least one name or address is needed")
        return value

    @property
    def database(self) -> str:
        """The database's URL, the default one included."""
        return self.database_url or f"sqlite:///{self.data_dir}/controller.db"

    @property
    def artifacts_dir(self) -> Path:
        """Where content lies that agents fetch by its hash."""
        return self.data_dir / "artifacts"


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read a settings file (None: defaults only) and what the environment says over it.

    Raises Invalid with the file and the field.
    """
    document: dict[str, Any] = {} if path is None else _read(path)
    document.update(_from_environment(os.environ if environment is None else environment))
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = f" (there are {', '.join(Settings.model_fields)})" if first["type"] == "extra_forbidden" else ""
        raise Invalid(f"{path or 'settings'}: {where}: {_sentence(first['msg'])}{known}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Invalid(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Invalid(f"{path}: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {field: environment[name] for name, field in ENVIRONMENT.items() if environment.get(name)}
    if "names" in found:
        found["names"] = [name.strip() for name in found["names"].split(",")]
    if "database_url" in found and _has_password(found["database_url"]):
        raise Invalid(
            "HOMEOSTAT_DATABASE_URL holds a password, and the environment is no place for one: "
            "set database_url in controller.toml (mode 0600) or use libpq's password file"
        )
    return found


def _has_password(url: str) -> bool:
    try:
        return make_url(url).password is not None
    except ArgumentError:
        return False  # what is wrong with it is said where the database is opened


def _default_data_dir() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "homeostat"


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")
