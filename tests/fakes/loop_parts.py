"""The decider's loop on a fake machine: a real store and real threads of it, a fake controller and actuator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import Message

from fakes.actuator_rig import until
from fakes.decider_stage import CONFIG, Stage
from homeostat.wire.v1 import link_pb2
from homeostat_agent.config import Agent, AgentConfig
from homeostat_agent.decider.actuator_talk import ActuatorTalk
from homeostat_agent.decider.effects import Effects
from homeostat_agent.decider.inbox import Inbox
from homeostat_agent.decider.keeping import Keeping
from homeostat_agent.decider.loop import Loop, Parts
from homeostat_agent.decider.reporting import Known
from homeostat_agent.decider.sensing.port import Reading
from homeostat_agent.decider.store.recorder import Recorder
from homeostat_agent.decider.watching.events import WatchEvent
from homeostat_agent.decider.watching.exits import ExitWatcher, MainProcess


@dataclass
class FakeController:
    connected: bool = False
    states: list[link_pb2.EndpointState] = field(default_factory=list)
    receipts: list[link_pb2.Receipt] = field(default_factory=list)
    announced: int = 0

    def publish_state(self, state: link_pb2.EndpointState) -> None:
        self.states.append(state)

    def send_receipt(self, receipt: link_pb2.Receipt) -> None:
        self.receipts.append(receipt)

    def outbox_changed(self) -> None:
        self.announced += 1


@dataclass
class FakeUpkeep:
    samples: int = 0
    saw_events: list[WatchEvent] = field(default_factory=list)
    breaks_with: Exception | None = None

    def slower(self) -> int:
        return 1

    def after_sample(self, reading: Reading, now: object) -> Effects:
        self.samples += 1
        if self.breaks_with is not None:
            raise self.breaks_with
        return ()

    def saw(self, event: WatchEvent, now: object) -> Effects:
        self.saw_events.append(event)
        return ()


@dataclass
class Line:
    """The link to the actuator: what was sent over it."""

    sent: list[tuple[str, Message]] = field(default_factory=list)

    def send(self, **message: Message) -> bool:
        self.sent += message.items()
        return True

    def names(self) -> list[str]:
        return [name for name, _ in self.sent]


@dataclass
class LoopRig:
    """A loop that a test drives by hand; `settle` lets the store's answers come back to it."""

    folder: Path
    stage: Stage = field(default_factory=Stage)
    controller: FakeController = field(default_factory=FakeController)
    upkeep: FakeUpkeep = field(default_factory=FakeUpkeep)
    line: Line = field(default_factory=Line)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.folder / "decider.db", 1 << 20, lambda: self.stage.now)
        self.recorder.start()
        self.inbox = Inbox()
        self.elapsed_s = 0.0
        config = AgentConfig(
            Agent(data_dir=str(self.folder), run_dir=str(self.folder), model_dir=str(self.folder / "models")),
            service=CONFIG.service,
        )
        self.parts = Parts(
            config=config,
            host=self.stage.host,
            pipeline=self.stage.pipeline,
            inbox=self.inbox,
            keeping=Keeping(self.recorder, self.inbox.tell_now),
            talk=ActuatorTalk(self.stage.pipeline, self.line),
            exits=ExitWatcher(self.inbox, lambda: self.stage.now),
            controller=self.controller,
            known=Known(),
            now=lambda: self.stage.now,
            elapsed=lambda: self.elapsed_s,
        )
        self.loop = Loop(self.parts, self.upkeep)

    def settle(self, done: Callable[[], bool]) -> None:
        """Take what comes back until it is done."""

        def look() -> bool:
            item = self.inbox.take(0.01)
            if item is not None:
                self.loop.take(item)
            return done()

        until("what the store has to say", look)

    def watched(self) -> dict[str, MainProcess]:
        """Return whose ends are waited for."""
        return dict(self.parts.exits._wanted)

    def close(self) -> None:
        self.parts.exits.stop()
        self.recorder.stop()
