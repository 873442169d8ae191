"""agent.toml → AgentConfig. Every default is visible here; a missing field works, an unknown one is an error.

The file says who this endpoint is, where its controller is, and which of its objects may be cared for at all. It is
edited by the endpoint's own administrator only, and read by the decider and the actuator alike.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homeostat_agent.config_reading import ConfigError, read

__all__ = ["AgentConfig", "ConfigError", "load"]

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}", re.ASCII)
UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,199}\.service", re.ASCII)
LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", re.ASCII)
ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", re.ASCII)
PROBE_URL = re.compile(r"http://[^\s/]+(?:/\S*)?", re.ASCII)
PORT_MAX = 65_535
LABEL_CHARACTERS_MAX = 200
NAME_CHARACTERS_MAX = 253
# Of each kind; every one is looked at in each period.
ITEMS_MAX = 200
# What a Unix socket's name may have on Linux, without the zero byte at its end.
SOCKET_PATH_BYTES_MAX = 107
LOG_LEVELS = ("debug", "info", "warning", "error")


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
    """Where the controller listens (host:port). Both may stay empty: the join token and enrolment tell them.

    The agent looks for it at a random moment within `first_try_s_max` of its start, and after failures at ever longer
    intervals up to `retry_s_max`.
    """

    enrol: str = ""
    link: str = ""
    first_try_s_max: float = 5.0
    retry_s_max: float = 300.0


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
        config = read(path, AgentConfig)
        _check(config)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `homeostat-agent enrol --help` says how one is made") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return config


def _check(config: AgentConfig) -> None:
    for kind in ("service", "folder", "program", "watched_file"):
        _check_names(kind, [one.name for one in getattr(config, kind)])
    _check_choices(config)
    _check_labels(config.labels)
    for service in config.service:
        _check_service(service)
    for folder in config.folder:
        _check_folder(folder)
    _check_values(config)
    if len(os.fsencode(config.actuator_socket)) > SOCKET_PATH_BYTES_MAX:
        raise ConfigError(f"agent.run_dir: is too long for a socket in it ({SOCKET_PATH_BYTES_MAX} bytes in all)")


def _check_values(config: AgentConfig) -> None:
    for value, where, least, most in _numbers(config):
        if not least <= value <= most:
            raise ConfigError(f"{where}: must be from {least:g} to {most:g}")
    for address, where in _addresses(config):
        found = ADDRESS.fullmatch(address)
        if address and not (found and 1 <= int(found[1]) <= PORT_MAX):
            raise ConfigError(f"{where}: must be host:port")
    for path, where in _paths(config):
        if not os.path.isabs(path):  # noqa: PTH117  # a text is checked, no file is touched
            raise ConfigError(f"{where}: must be an absolute path")


def _check_names(kind: str, names: list[str]) -> None:
    if len(names) > ITEMS_MAX:
        raise ConfigError(f"{kind}: there are {len(names)}; the limit is {ITEMS_MAX}")
    for name in names:
        if not NAME.fullmatch(name):
            raise ConfigError(f"{kind} {name!r}: a name has lower-case letters, digits, '.', '_', '@' and '-'")
        if names.count(name) > 1:
            raise ConfigError(f"{kind} {name!r}: is there twice")


def _check_choices(config: AgentConfig) -> None:
    if config.actuator.start not in ("child", "service"):
        raise ConfigError('actuator.start: must be "child" or "service"')
    if config.agent.log_level not in LOG_LEVELS:
        raise ConfigError(f"agent.log_level: must be one of {', '.join(LOG_LEVELS)}")
    if len(config.agent.name) > NAME_CHARACTERS_MAX:
        raise ConfigError(f"agent.name: must have at most {NAME_CHARACTERS_MAX} characters")


def _check_labels(labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key):
            raise ConfigError(f"labels.{key!r}: a key has letters, digits, '.', '_', '/' and '-', at most 63")
        if len(value) > LABEL_CHARACTERS_MAX:
            raise ConfigError(f"labels.{key}: must have at most {LABEL_CHARACTERS_MAX} characters")


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
    if service.probe.http and not PROBE_URL.fullmatch(service.probe.http):
        raise ConfigError(f"{where}: probe.http must be a URL such as http://127.0.0.1:8080/healthz")


def _check_folder(folder: Folder) -> None:
    where = f"folder {folder.name!r}"
    if os.path.normpath(folder.path) == os.path.normpath(os.path.join(folder.path, "..")):  # noqa: PTH118  # as above
        raise ConfigError(f"{where}: path must not be the root of a file system")
    if not folder.patterns:
        raise ConfigError(f"{where}: needs a pattern, such as *.tmp")
    for pattern in folder.patterns:
        if not pattern or "/" in pattern:
            raise ConfigError(f"{where}: {pattern!r} is no pattern of file names; it would match nothing")


def _numbers(config: AgentConfig) -> Iterator[tuple[float, str, float, float]]:
    # Below this the sampling itself becomes the load; above it nothing is noticed in time.
    yield config.agent.sample_period_s, "agent.sample_period_s", 0.2, 3600
    yield config.agent.spool_bytes_max, "agent.spool_bytes_max", 1 << 20, 16 << 30
    yield config.controller.first_try_s_max, "controller.first_try_s_max", 0, 3600
    yield config.controller.retry_s_max, "controller.retry_s_max", 1, 3600
    yield config.actuator.decider_uid, "actuator.decider_uid", -1, (1 << 32) - 2
    for service in config.service:
        yield service.memory_max_mib, f"service {service.name!r}: memory_max_mib", 0, 1 << 30
        yield service.probe.timeout_s, f"service {service.name!r}: probe.timeout_s", 0.05, 60
    for folder in config.folder:
        yield folder.limit_mib, f"folder {folder.name!r}: limit_mib", 0, 1 << 30


def _addresses(config: AgentConfig) -> Iterator[tuple[str, str]]:
    yield config.controller.enrol, "controller.enrol"
    yield config.controller.link, "controller.link"
    yield config.agent.metrics_listen, "agent.metrics_listen"
    for service in config.service:
        yield service.probe.tcp, f"service {service.name!r}: probe.tcp"


def _paths(config: AgentConfig) -> Iterator[tuple[str, str]]:
    for name in ("data_dir", "run_dir", "model_dir"):
        yield getattr(config.agent, name), f"agent.{name}"
    yield config.actuator.data_dir, "actuator.data_dir"
    for folder in config.folder:
        yield folder.path, f"folder {folder.name!r}: path"
    for program in config.program:
        yield program.executable, f"program {program.name!r}: executable"
    for file in config.watched_file:
        yield file.path, f"watched_file {file.name!r}: path"
        yield from ((program, f"watched_file {file.name!r}: program to run") for program in file.check[:1])
    for service in config.service:
        places = ((getattr(service, name), name) for name in ("pid_file", "working_dir", "log_file"))
        yield from ((path, f"service {service.name!r}: {name}") for path, name in places if path)
        for argv in (service.command, service.check):
            yield from ((program, f"service {service.name!r}: program to run") for program in argv[:1])
