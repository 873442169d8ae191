import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from fixtures_link import QUICK, config_at, real_now, token
from fixtures_signing import Signer
from fixtures_tls import Authority

from fakes.link_controller import Controller
from homeostat.wire.v1 import enrolment_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.enrolment import Applicant, enrol
from homeostat_agent.decider.link.pace import Surroundings
from homeostat_agent.decider.store.recorder import Recorder


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


@pytest.fixture
def controller(authority: Authority, signer: Signer) -> Iterator[Controller]:
    started = Controller(authority, signer).start()
    yield started
    started.vanish()


@pytest.fixture(scope="session")
def enrolled_once(tmp_path_factory: pytest.TempPathFactory, authority: Authority, signer: Signer) -> Path:
    """A folder as an enrolment leaves it; copied for each test, which only changes the address of the link."""
    folder = tmp_path_factory.mktemp("enrolled")
    started = Controller(authority, signer).start()
    applicant = Applicant("web-1", enrolment_pb2.EndpointFacts(hostname="web-1"))
    enrol(config_at(folder), token(started), applicant, real_now())
    started.vanish()
    return folder


@pytest.fixture
def config(tmp_path: Path, enrolled_once: Path, controller: Controller) -> AgentConfig:
    """The configuration of an enrolled endpoint."""
    shutil.copytree(enrolled_once, tmp_path / "agent")
    return config_at(tmp_path / "agent", controller.link_address)


@pytest.fixture
def surroundings() -> Surroundings:
    return Surroundings(real_now, Random(1), QUICK)  # noqa: S311  # jitter, repeatable


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    started = Recorder(tmp_path / "store.db", 4 << 20, real_now)
    started.start()
    yield started
    started.stop()
