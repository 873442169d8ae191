"""`doctor`: everything the agent needs, checked one by one; each line says what, why, and what to do about it."""

import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from homeostat_agent.cli.entry import Asked
from homeostat_agent.cli.exits import Exit
from homeostat_agent.cli.output import clean
from homeostat_agent.config import AgentConfig

CONNECT_S_MAX = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `next` is empty when all is well."""

    check: str
    ok: bool
    found: str
    next: str = ""
    is_unreachable: bool = False


def doctor(asked: Asked) -> int:
    """Run every check; 1 when something is wrong, 5 when only the controller cannot be reached."""
    findings = [check(asked.config) for check in CHECKS]
    if asked.options.output == "json":
        print(json.dumps([asdict(one) for one in findings], indent=1))
    else:
        for one in findings:
            print(f"{'ok' if one.ok else 'WRONG':<6} {one.check:<11} {clean(one.found)}")
            if one.next:
                print(f"{'':<6} {'':<11} next: {one.next}")
    wrong = [one for one in findings if not one.ok]
    if not wrong:
        return int(Exit.DONE)
    return int(Exit.NOT_REACHABLE if all(one.is_unreachable for one in wrong) else Exit.FAILED)


def check_config(config: AgentConfig) -> Finding:
    """The file was read; say what it declares, or that it declares nothing to care for."""
    counts = {kind: len(getattr(config, kind)) for kind in ("service", "folder", "program", "watched_file")}
    said = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    if not said:
        return Finding("config", ok=False, found="declares nothing to care for", next="add a [[service]] or [[folder]]")
    return Finding("config", ok=True, found=f"declares {said}")


def check_folders(config: AgentConfig) -> Finding:
    """The agent's own folders must be there, ours, and closed to others."""
    for folder in (config.agent.data_dir, config.agent.run_dir):
        path = Path(folder)
        if not path.is_dir():
            return Finding("folders", ok=False, found=f"{path} is not there", next=f"mkdir -m 700 {path}")
        if path.stat().st_mode & 0o022:
            return Finding("folders", ok=False, found=f"{path} is writable by others", next=f"chmod go-w {path}")
        if not os.access(path, os.W_OK):
            return Finding("folders", ok=False, found=f"{path} is not writable by this user", next="run as the agent")
    return Finding("folders", ok=True, found=f"{config.agent.data_dir} and {config.agent.run_dir} are ours alone")


def check_identity(config: AgentConfig) -> Finding:
    """The endpoint is enrolled and its certificate holds."""
    from homeostat_agent.decider.link import identity  # noqa: PLC0415  # only where it is needed

    then = "homeostat-agent enrol --help"
    try:
        found = identity.load_identity(config)
        if found is None:
            return Finding("identity", ok=False, found="not enrolled: no controller, no policy", next=then)
        folder = identity.identity_folder(config)
        validity = identity.inspect_certificate(folder, found.certificate_pem, found.authority_pem)
    except identity.IdentityError as error:
        return Finding("identity", ok=False, found=str(error), next=then + " (with --again)")
    until = f"{found.endpoint_id}, certificate until {validity.not_after:%Y-%m-%d %H:%M} UTC"
    if validity.not_after <= datetime.now(UTC):
        return Finding("identity", ok=False, found=f"expired: {until}", next=then + " (with --again)")
    return Finding("identity", ok=True, found=until)


def check_model(config: AgentConfig) -> Finding:
    """A model lies in its folder and fits this agent's features."""
    from homeostat_agent.decider import model_folder  # noqa: PLC0415  # loaded only where it is used

    try:
        found, passed_over = model_folder.manifests(Path(config.agent.model_dir))
    except model_folder.ModelRefused as error:
        return Finding("model", ok=False, found=str(error), next="set agent.model_dir")
    if not found:
        why = passed_over[0] if passed_over else f"{config.agent.model_dir} is empty"
        return Finding("model", ok=False, found=why, next="build one: homeostat-models build --help")
    return Finding("model", ok=True, found=found[0].name)


def check_actuator(config: AgentConfig) -> Finding:
    """The actuator's socket takes a connection."""
    path = config.actuator_socket
    then = "start homeostat-agent run" if config.actuator.start == "child" else "start the actuator's service"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_S_MAX)
            probe.connect(str(path))
    except OSError as error:
        return Finding("actuator", ok=False, found=f"{path}: {error.strerror or error}", next=then)
    return Finding("actuator", ok=True, found=f"listens on {path}")


def check_controller(config: AgentConfig) -> Finding:
    """The controller's link address takes a TCP connection."""
    from homeostat_agent.decider.link import identity  # noqa: PLC0415  # loaded only where it is used

    try:
        found = identity.load_identity(config)
    except identity.IdentityError:
        found = None
    address = found.link_address if found else config.controller.link
    if not address:
        return Finding("controller", ok=False, found="no address is known before enrolment", next="enrol first")
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S_MAX).close()
    except (OSError, ValueError) as error:
        said = f"{address}: {error}; the agent goes on under its last policy"
        return Finding("controller", ok=False, found=said, next="check the network", is_unreachable=True)
    return Finding("controller", ok=True, found=f"{address} answers")


def check_store(config: AgentConfig) -> Finding:
    """The decider's store can be read and knows a policy."""
    from homeostat_agent.decider.store.database import StoreError  # noqa: PLC0415  # loaded only where it is used
    from homeostat_agent.decider.store.recorder import reading  # noqa: PLC0415  # loaded only where it is used

    try:
        with reading(config.store, config.agent.spool_bytes_max) as stores:
            active, state = stores.policies.active(), stores.spool.state()
    except StoreError as error:
        return Finding("store", ok=False, found=str(error), next="start homeostat-agent run")
    if state.full:
        return Finding("store", ok=False, found="the outbox is full: observing only", next="bring the controller back")
    if active is None:
        return Finding("policy", ok=False, found="none was accepted: observing only", next="homeostat policy publish")
    return Finding("policy", ok=True, found=f"{active.ref.name} r{active.ref.revision}")


CHECKS: tuple[Callable[[AgentConfig], Finding], ...] = (
    check_config,
    check_folders,
    check_identity,
    check_model,
    check_store,
    check_actuator,
    check_controller,
)
