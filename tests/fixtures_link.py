"""An endpoint's link for tests: a quick pace, join tokens and configurations in a folder of the test's own."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fakes.link_controller import Controller
from homeostat.wire.v1 import enrolment_pb2
from homeostat_agent.config import Actuator, Agent, AgentConfig
from homeostat_agent.config import Controller as ControllerAddress
from homeostat_agent.decider.link.pace import Pace

QUICK = Pace(
    first_try_s_max=0.0,
    backoff_s_least=0.01,
    backoff_s_most=0.1,
    heartbeat_s=0.2,
    message_s_least=0.01,
    push_timeout_s=5.0,
    check_in_timeout_s=5.0,
    enrolled_s=0.02,
    outbox_s=0.3,
)


def real_now() -> datetime:
    return datetime.now(UTC)


def token(controller: Controller, *, secret: bytes = b"secret", hours: float = 1, **fields: object) -> str:
    message = enrolment_pb2.JoinToken(
        secret=secret, authority_der=controller.authority.der, enrol_address=controller.enrol_address
    )
    message.expires_at.FromDatetime(real_now() + timedelta(hours=hours))
    for name, value in fields.items():
        setattr(message, name, value)
    return "hst1:" + base64.urlsafe_b64encode(message.SerializeToString()).decode().rstrip("=")


def config_at(folder: Path, link: str = "") -> AgentConfig:
    return AgentConfig(
        agent=Agent(name="web-1", data_dir=str(folder / "data"), run_dir=str(folder / "run")),
        actuator=Actuator(data_dir=str(folder / "actuator")),
        controller=ControllerAddress(link=link),
        labels={"role": "web", "group": "wanted"},
    )
