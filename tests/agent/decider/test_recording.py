from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fakes.decider_stage import ASK_IT, NOW, Stage, of, one, outcome, policy
from homeostat.outcome import Ending
from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_agent.decider.effects import (
    Effects,
    ForgetRun,
    RecordNotice,
    RecordOpened,
    RecordOutcome,
    RecordRun,
    SendReceipt,
    StartHealing,
)
from homeostat_agent.decider.recording import RUN_KEY, Recorded, recording
from homeostat_agent.decider.store.recorder import Recorder, Stores
from homeostat_agent.decider.store.spool import SpoolFull

SMALL = 1 << 16


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(tmp_path / "decider.db", SMALL, lambda: NOW)
    made.start()
    yield made
    made.stop()


def keep(recorder: Recorder, effects: Effects) -> Recorded:
    work = recording(effects)
    assert work is not None
    return recorder.submit(work).result(30)


def events(recorder: Recorder) -> list[str]:
    batch = recorder.submit(lambda stores: stores.spool.pending(1000, 1 << 24)).result(30)
    return [link_pb2.Event.FromString(entry.body).WhichOneof("event") or "" for entry in batch.entries]


def entries(recorder: Recorder, incident_id: str) -> list[str]:
    (found,) = recorder.submit(lambda stores: stores.incidents.find(incident_id)).result(30)
    return [type(entry).__name__ for entry in found.entries]


def test_a_healed_crash_is_on_disk_as_it_happened(recorder: Recorder) -> None:
    stage = Stage()
    keep(recorder, stage.crash())
    start = one(stage.said, StartHealing)
    assert recorder.submit(lambda stores: stores.state.get(RUN_KEY)).result(30) is not None
    keep(recorder, stage.ended(start))
    assert events(recorder) == ["incident_opened", "decision", "outcome", "incident_closed"]
    assert entries(recorder, start.incident.id) == ["Decision", "Outcome"]
    assert recorder.submit(lambda stores: stores.state.get(RUN_KEY)).result(30) is None
    (run,) = recorder.submit(lambda stores: stores.incidents.runs(NOW)).result(30).values()
    assert run.ending is Ending.HEALED


def test_an_outcome_is_kept_once_however_often_it_comes(recorder: Recorder) -> None:
    stage = Stage()
    keep(recorder, stage.crash())
    told = (RecordOutcome(outcome(one(stage.said, StartHealing), NOW)),)
    keep(recorder, told)
    keep(recorder, told)
    assert events(recorder).count("outcome") == 1


def test_an_outcome_of_a_run_that_was_never_kept_is_kept(recorder: Recorder) -> None:
    start = one(Stage().crash(), StartHealing)
    keep(recorder, (RecordOutcome(outcome(start, NOW)),))
    keep(recorder, (RecordOutcome(outcome(start, NOW)),))
    assert events(recorder) == ["outcome"]


def test_packs_denials_and_notices_are_kept(recorder: Recorder) -> None:
    stage = Stage(policy(ASK_IT))
    keep(recorder, stage.crash())
    pack = stage.pack_of(tuple(stage.said))
    keep(recorder, (pack,))
    keep(recorder, stage.step(lambda: stage.pipeline.denied(pack.pack.id, "ada", "No.")))
    keep(recorder, (RecordNotice("x", "X.", NOW),))
    assert events(recorder) == ["incident_opened", "decision", "exception_pack", "notice"]
    assert entries(recorder, pack.pack.incident.id) == ["Decision", "ExceptionPack", "Denial"]


def test_a_run_that_has_not_come_about_is_none(recorder: Recorder) -> None:
    stage = Stage()
    keep(recorder, stage.crash())
    run = one(stage.said, RecordRun).run
    keep(recorder, (ForgetRun(run.run_id),))
    (kept,) = recorder.submit(lambda stores: stores.incidents.runs(NOW)).result(30).values()
    assert kept.ending is Ending.REFUSED
    assert recorder.submit(lambda stores: stores.state.get(RUN_KEY)).result(30) is None


def test_what_is_only_sent_needs_no_record() -> None:
    assert recording((SendReceipt("p", "accepted"),)) is None
    assert recording(()) is None


def fill(stores: Stores, *, outcome: bool = False) -> None:
    with suppress(SpoolFull):
        while True:
            stores.spool.append(b"x", outcome=outcome)


def test_what_finds_no_room_is_counted_but_for_outcomes(recorder: Recorder) -> None:
    recorder.submit(fill).result(30)
    stage = Stage()
    recorded = keep(recorder, stage.crash())
    assert recorded.lost == 2
    assert recorded.spool.full
    start = one(stage.said, StartHealing)
    assert keep(recorder, (RecordOutcome(outcome(start, NOW)),)).lost == 0
    assert recorder.submit(lambda stores: stores.incidents.find(start.incident.id)).result(30)[0].entries


def test_where_there_is_no_room_even_for_an_outcome_nothing_of_its_step_is_kept(recorder: Recorder) -> None:
    stage = Stage()
    keep(recorder, stage.crash())
    recorder.submit(lambda stores: fill(stores, outcome=True)).result(30)
    work = recording(stage.ended(one(stage.said, StartHealing)))
    assert work is not None
    with pytest.raises(SpoolFull):
        recorder.submit(work).result(30)
    (found,) = recorder.submit(lambda stores: stores.incidents.open()).result(30)
    assert not any(isinstance(entry, incident_pb2.Outcome) for entry in found.entries)


def test_every_record_of_a_script_is_on_disk(recorder: Recorder) -> None:
    stage = Stage()
    for _ in range(5):
        stage.ended(one(stage.crash(), StartHealing))
    keep(recorder, tuple(stage.said))
    assert events(recorder).count("incident_opened") == len(of(stage.said, RecordOpened)) == 5
