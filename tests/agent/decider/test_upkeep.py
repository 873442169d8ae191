from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.actuator_rig import until
from fakes.built_model import model_folder
from fakes.decider_stage import names, one
from fakes.loop_parts import LoopRig
from homeostat.wire.v1 import link_pb2
from homeostat_agent.decider.actuator_link import ActuatorLink
from homeostat_agent.decider.effects import RecordNotice
from homeostat_agent.decider.health import Hindrance
from homeostat_agent.decider.pipeline import Endpoint
from homeostat_agent.decider.scorer_loading import ScorerLoading
from homeostat_agent.decider.scoring import OnnxScorer
from homeostat_agent.decider.store.state import ENDPOINT_STATE
from homeostat_agent.decider.upkeep import SAVE_EVERY_S, STATE_EVERY_S, TELEMETRY_EVERY_S, Due, Upkeep
from homeostat_agent.decider.watching.events import FileChange, FileChanged, FileRole


class Kept(LoopRig):
    """A loop's parts with the real upkeep."""

    def __post_init__(self) -> None:
        super().__post_init__()
        config = self.parts.config
        self.whoami = Endpoint("e1")
        link = ActuatorLink(config, self.folder / "agent.toml", lambda _: None, lambda _: None)
        self.kept = Upkeep(self.parts, self.recorder, link, ScorerLoading(config), lambda: self.whoami)

    def sample(self, after_s: float = 1.0) -> list[str]:
        self.elapsed_s += after_s
        reading = self.stage.host.read()
        self.parts.known.take(reading)
        effects = self.kept.after_sample(reading, self.stage.now)
        # A process that has run thousands of tests is larger than any agent may be, and rightly says so.
        return names(tuple(one for one in effects if getattr(one, "code", "") not in ("agent-memory", "agent-cpu")))

    def told(self) -> link_pb2.EndpointState:
        body = self.recorder.submit(lambda stores: stores.state.get(ENDPOINT_STATE)).result(30)
        return link_pb2.EndpointState.FromString(body or b"")

    def telemetry(self) -> int:
        return len(self.recorder.submit(lambda stores: stores.spool.pending_telemetry(100, 1 << 20)).result(30))

    def changed(self, role: FileRole, path: Path) -> list[RecordNotice]:
        event = FileChanged(role, path.name, str(path), FileChange.CHANGED, self.stage.now)
        return [effect for effect in self.kept.saw(event, self.stage.now) if isinstance(effect, RecordNotice)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Kept]:
    (tmp_path / "models").mkdir()
    made = Kept(tmp_path)
    yield made
    made.kept.close()
    made.close()


def test_something_due_is_due_again_after_its_time() -> None:
    now = [0.0]
    due = Due(10.0, lambda: now[0])
    assert [due.is_due(), due.is_due()] == [True, False]
    now[0] = 10.0
    assert due.is_due()


def test_the_state_is_kept_at_once_when_it_changes_and_else_now_and_then(rig: Kept) -> None:
    rig.sample()
    assert rig.told().health == "ok"
    first = rig.told().at
    rig.stage.tick()
    rig.sample()
    assert rig.told().at == first
    rig.stage.pipeline.hindrances[Hindrance.ACTUATOR] = "It is away."
    rig.sample()
    assert rig.told().health == "observing"
    rig.stage.tick()
    rig.sample(STATE_EVERY_S)
    assert rig.told().at != first


def test_telemetry_is_kept_once_a_minute(rig: Kept) -> None:
    for _ in range(3):
        rig.sample()
    assert rig.telemetry() == 1
    rig.sample(TELEMETRY_EVERY_S)
    assert rig.telemetry() == 2


def test_the_spool_is_known_without_any_record(rig: Kept) -> None:
    rig.sample()
    until("the spool's numbers", lambda: rig.parts.known.spool is not None)


def test_what_was_learnt_is_saved_now_and_then_and_at_the_end(rig: Kept) -> None:
    rig.sample()
    before = list(rig.stage.scorer.saved)
    rig.stage.tick()
    rig.sample()
    assert rig.stage.scorer.saved == before
    rig.sample(SAVE_EVERY_S)
    assert len(rig.stage.scorer.saved) == 1
    rig.stage.tick()
    rig.kept.close()
    assert len(rig.stage.scorer.saved) == 2
    assert rig.stage.scorer.closed


def test_without_a_model_it_only_observes(rig: Kept) -> None:
    rig.stage.pipeline.scorer = None
    assert names(rig.kept.use_model(rig.stage.now)) == ["RecordNotice"]
    assert "No model can be used" in rig.stage.pipeline.health.detail


def test_a_model_that_appears_is_used_from_the_next_sample_on(rig: Kept) -> None:
    rig.stage.pipeline.hinder(Hindrance.MODEL, "No model.", rig.stage.now)
    model_folder(rig.folder / "models")
    assert rig.changed(FileRole.MODEL, rig.folder / "models" / "baseline-1.json") == []
    assert rig.stage.pipeline.scorer is rig.stage.scorer
    rig.sample()
    assert rig.stage.scorer.closed
    assert isinstance(rig.stage.pipeline.scorer, OnnxScorer)
    assert rig.stage.pipeline.health.word == "ok"


def test_a_model_that_cannot_be_used_leaves_the_one_before(rig: Kept) -> None:
    rig.changed(FileRole.MODEL, rig.folder / "models" / "x.json")
    assert rig.sample() == ["RecordNotice"]
    assert rig.stage.pipeline.scorer is rig.stage.scorer


def test_a_changed_configuration_is_told(rig: Kept) -> None:
    path = rig.folder / "agent.toml"
    path.write_text("")
    assert "from the next start on" in one(rig.changed(FileRole.CONFIG, path), RecordNotice).sentence
    path.write_text("[agent")
    assert "cannot be used" in one(rig.changed(FileRole.CONFIG, path), RecordNotice).sentence


def test_a_watched_file_is_nothing_for_the_upkeep(rig: Kept) -> None:
    assert rig.changed(FileRole.WATCHED, rig.folder / "x") == []


def test_an_identity_that_appears_is_taken_up(rig: Kept) -> None:
    rig.whoami = Endpoint("e2", {"site": "lyon"})
    rig.sample()
    assert rig.stage.pipeline.endpoint.id == "e1"
    (rig.folder / "identity").mkdir()
    (rig.folder / "identity" / "endpoint.binpb").write_bytes(b"x")
    rig.sample()
    assert rig.stage.pipeline.endpoint == Endpoint("e2", {"site": "lyon"})


def test_the_agents_own_use_is_known(rig: Kept) -> None:
    rig.sample()
    assert rig.parts.known.usage is not None
    assert rig.parts.known.usage.rss_bytes > 1 << 20
    assert rig.kept.slower() == 1


def test_a_state_that_cannot_be_kept_disturbs_nothing(rig: Kept) -> None:
    rig.recorder.stop()
    assert rig.sample() == []
