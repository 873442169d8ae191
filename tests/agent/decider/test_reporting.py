from fakes.decider_stage import NOW, Stage
from homeostat.wire.v1 import link_pb2
from homeostat_agent.decider import reporting
from homeostat_agent.decider.reporting import Known
from homeostat_agent.decider.selfcare import Usage
from homeostat_agent.decider.sensing.port import ServiceStatus
from homeostat_agent.decider.store.spool import SpoolState

SPOOL = SpoolState(3, 8, b"", 900, 100, 7, full=False, anchored=True)


def known(stage: Stage) -> Known:
    found = Known(spool=SPOOL, usage=Usage(0.4, 80 << 20, 1 << 30))
    found.take(stage.host.read())
    return found


def test_the_state_says_how_the_endpoint_is() -> None:
    stage = Stage(able=False)
    stage.crash()
    state = reporting.endpoint_state(stage.pipeline, known(stage), NOW)
    assert (state.health, state.open_incidents, state.outbox_records, state.outbox_bytes) == ("observing", 1, 5, 1000)
    assert {one.name: one.state for one in state.services} == {"web": "down", "db": "running"}
    assert state.telemetry_dropped == 7
    assert state.metrics["cpu.iowait"] >= 0 if "cpu.iowait" in state.metrics else state.metrics["load.1m"] >= 0


def test_before_the_first_reading_there_is_a_state_too() -> None:
    state = reporting.endpoint_state(Stage().pipeline, Known(), NOW)
    assert (state.health, state.anomaly_p_value, len(state.services)) == ("ok", 1.0, 0)


def test_services_are_told_in_words() -> None:
    stage = Stage()
    words = {}
    for status in ServiceStatus:
        stage.host.run("web") if status is ServiceStatus.RUNNING else stage.host.end("web", status)
        words[status.value] = reporting.service_word(stage.host.service("web"))
    assert words == {"running": "running", "down": "down", "failed": "down", "unknown": "unknown"}
    stage.host.run("web")
    stage.host.freeze("web")
    assert reporting.service_word(stage.host.service("web")) == "hung"
    stage.host.freeze("web", stopped=False)
    stage.host.answer("web", answers=False)
    assert reporting.service_word(stage.host.service("web")) == "hung"


def test_the_numbers_for_prometheus() -> None:
    stage = Stage()
    snapshot = reporting.snapshot(stage.pipeline, known(stage), connected=True)
    assert snapshot.gauges["healthy"] == 1.0
    assert snapshot.gauges["outbox_records"] == 5.0
    assert snapshot.counters == {
        "samples": 1.0,
        "events_dropped": 0.0,
        "records_lost": 0.0,
        "telemetry_dropped": 7.0,
    }


def test_telemetry_is_one_sample() -> None:
    reading = Stage().host.read()
    message = link_pb2.Telemetry.FromString(reporting.telemetry(reading))
    assert dict(message.values) == dict(reading.sample.values)


def test_facts_that_are_missing_stay_empty() -> None:
    facts = reporting.endpoint_facts({"hostname": "web-7", "cpus": "4"})
    assert (facts.hostname, facts.cpus, facts.memory_bytes, facts.os) == ("web-7", 4, 0, "")
    assert facts.agent_version
