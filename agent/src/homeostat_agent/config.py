"""agent.toml → AgentConfig. Every default is visible here; a missing field works, an unknown one is an error.

The file says who this endpoint is, where its controller is, and which of its objects may be cared for at all. It is
edited by the endpoint's own administrator only, and read by the decider and the actuator alike.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}", re.ASCII)
UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,200}\.service", re.ASCII)


class ConfigError(Exception):
    """The configuration cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How to ask a service whether it answers: one of `tcp` (host:port) or `http` (URL on this machine)."""

    tcp: str = ""
    http: str = ""
    timeout_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service to care for: a systemd or Windows service by `unit`, or a process group started by `command`.

    For a process group, `pid_file` is written by the actuator and names the group's leader. `check` is run before
    every restart and must exit 0 (a configuration test). `memory_max_mib` 0 means no limit of its own.
    """

    name: str
    unit: str = ""
    command: tuple[str, ...] = ()
    pid_file: str = ""
    working_dir: str = ""
    log_file: str = ""
    check: tuple[str, ...] = ()
    probe: Probe = Probe()
    memory_max_mib: float = 0.0
    depends_on_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in which files may be removed: those that match `patterns`, below `path`, on the same file system.

    `limit_mib` is the folder's own quota; 0 means that the file system's use counts instead.
    """

    name: str
    path: str
    patterns: tuple[str, ...]
    limit_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program whose processes may be ended when they run away, by the absolute path of its executable or script.

    `arguments` must all occur in the process's command line, in this order; it tells one script from another where
    the executable is an interpreter.
    """

    name: str
    executable: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """A configuration file whose change or loss is a signal; `check` says whether its content is valid (exit 0)."""

    name: str
    path: str
    check: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent itself. `metrics_listen` (host:port on loopback) switches Prometheus metrics on."""

    name: str = ""
    data_dir: str = "/var/lib/homeostat-agent"
    run_dir: str = "/run/homeostat-agent"
    model_dir: str = "/usr/lib/homeostat-agent/models"
    sample_period_s: float = 5.0
    spool_bytes_max: int = 64 << 20
    log_level: str = "info"
    metrics_listen: str = ""


@dataclass(frozen=True, slots=True)
class Controller:
    """Where the controller listens. `link` may stay empty: enrolment tells it."""

    enrol: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Actuator:
    """The acting half. `start` is "child" (the decider starts it) or "service" (something else does).

    `decider_uid` is the user the decider runs as; the actuator refuses every other peer. -1 means its own user.
    """

    data_dir: str = "/var/lib/homeostat-actuator"
    start: str = "service"
    decider_uid: int = -1


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The whole of agent.toml."""

    agent: Agent = Agent()
    controller: Controller = Controller()
    actuator: Actuator = Actuator()
    labels: Mapping[str, str] = field(default_factory=dict)
    service: tuple[Service, ...] = ()
    folder: tuple[Folder, ...] = ()
    program: tuple[Program, ...] = ()
    watched_file: tuple[WatchedFile, ...] = ()

    @property
    def store(self) -> Path:
        """The decider's database."""
        return Path(self.agent.data_dir, "decider.db")

    @property
    def actuator_socket(self) -> Path:
        """Where the actuator listens."""
        return Path(self.agent.run_dir, "actuator.sock")


def load(path: Path) -> AgentConfig:
    """Read and check a configuration file.

    Raises ConfigError with the file and, where there is one, the field.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `homeostat-agent enrol --help` says how one is made") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        config: AgentConfig = _build(AgentConfig, document, "")
        _check(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return config


def _build(kind: Any, value: Any, where: str) -> Any:  # walks the types of the classes above
    if hasattr(kind, "__dataclass_fields__"):
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: must be a table")
        return _build_table(kind, value, where)
    origin = get_origin(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: must be a list")
        return tuple(_build(get_args(kind)[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise ConfigError(f"{where}: must be a table of texts")
        return dict(value)
    return _scalar(kind, value, where)


def _build_table(kind: Any, table: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        known = ", ".join(sorted(hints))
        raise ConfigError(f"{_join(where, unknown[0])}: no such setting (known here: {known})")
    values = {name: _build(hints[name], one, _join(where, name)) for name, one in table.items()}
    try:
        return kind(**values)
    except TypeError:
        needed = [one.name for one in fields(kind) if one.name not in values]
        raise ConfigError(f"{where}: lacks {', '.join(needed[:1])}") from None


def _scalar(kind: type | UnionType, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (kind is bool or not isinstance(value, bool)) and isinstance(value, kind):
        return value
    name = getattr(kind, "__name__", str(kind))
    word = {"str": "a text", "int": "a whole number", "float": "a number"}.get(name, name)
    raise ConfigError(f"{where}: must be {word}")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _check(config: AgentConfig) -> None:
    for kind in ("service", "folder", "program", "watched_file"):
        _check_names(kind, [one.name for one in getattr(config, kind)])
    if config.agent.sample_period_s < 0.2:  # below this the sampling itself becomes the load
        raise ConfigError("agent.sample_period_s: must be at least 0.2")
    if config.actuator.start not in ("child", "service"):
        raise ConfigError('actuator.start: must be "child" or "service"')
    for service in config.service:
        _check_service(service)
    for path, where in _paths(config):
        if not os.path.isabs(path):  # noqa: PTH117  # a text is checked, no file is touched
            raise ConfigError(f"{where}: must be an absolute path")


def _check_names(kind: str, names: list[str]) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            raise ConfigError(f"{kind} {name!r}: a name has lower-case letters, digits, '.', '_', '@' and '-'")
        if names.count(name) > 1:
            raise ConfigError(f"{kind} {name!r}: is there twice")


def _check_service(service: Service) -> None:
    where = f"service {service.name!r}"
    if bool(service.unit) == bool(service.command):
        raise ConfigError(f"{where}: needs either unit or command")
    if service.unit and os.name == "posix" and not UNIT.fullmatch(service.unit):
        raise ConfigError(f"{where}: unit must be the full name of a systemd service, such as nginx.service")
    if service.command and not service.pid_file:
        raise ConfigError(f"{where}: a process group needs pid_file")
    if service.probe.tcp and service.probe.http:
        raise ConfigError(f"{where}: probe has both tcp and http; one is enough")


def _paths(config: AgentConfig) -> list[tuple[str, str]]:
    found = [(one.path, f"folder {one.name!r}: path") for one in config.folder]
    found += [(one.executable, f"program {one.name!r}: executable") for one in config.program]
    found += [(one.path, f"watched_file {one.name!r}: path") for one in config.watched_file]
    for one in config.service:
        found += [(path, f"service {one.name!r}: pid_file") for path in (one.pid_file,) if path]
        found += [(argv[0], f"service {one.name!r}: program to run") for argv in (one.command, one.check) if argv]
    return found
