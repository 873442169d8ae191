"""From the store to what the API says, where the routes' own tests do not reach."""

from dataclasses import replace
from typing import Any

import pytest
from fixtures_controller import START
from fixtures_controller import pack as pack_event

from homeostat.wire.v1 import incident_pb2
from homeostat_controller.api import views
from homeostat_controller.store.approvals import PackDetail, PackView
from homeostat_controller.store.endpoints import EndpointDetail, EndpointView, PolicyStatusView


def endpoint(**state: Any) -> EndpointDetail:
    view = EndpointView(
        id="ep-1",
        name="web-1",
        organisation_id="default",
        organisation="default",
        site_id="default",
        site="lyon",
        group_id="default",
        group="web",
        labels={},
        os="",
        standing="active",
        standing_reason="",
        status="ok",
        health="ok",
        detail="",
        connected=True,
        last_seen_at=None,
        enrolled_at=START,
        agent_version="",
        semantics=1,
        open_incidents=0,
        active_name="",
        active_revision=0,
        rejected_name="",
        rejected_revision=0,
        rejected_reason="",
        active_sha256=b"",
    )
    return EndpointDetail(
        view=view,
        policy=PolicyStatusView(),
        facts={},
        state=state,
        state_at=None,
        feature_set=1,
        model="",
        boot_id="",
        public_key="",
        certificate_serial="",
        certificate_not_after=START,
        next_event=1,
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, (None, 0, [])),
        ({"anomaly_p_value": "NaN", "outbox_records": "12"}, (None, 12, [])),
        ({"anomaly_p_value": True, "outbox_records": -3.0, "services": {"a": 1}}, (None, -3, [])),
        ({"anomaly_p_value": 1, "outbox_records": None, "services": None}, (1.0, 0, [])),
        ({"outbox_records": "²"}, (None, 0, [])),
    ],
)
def test_odd_states_are_shown_as_far_as_they_make_sense(state: dict[str, Any], expected: tuple[Any, ...]) -> None:
    said = views.endpoint_detail(endpoint(**state))
    assert (said.anomaly_p_value, said.outbox_records, said.services) == expected
    assert said.place == "default / lyon / web"


def test_services_are_bounded() -> None:
    services = [{"name": str(number)} for number in range(views.SERVICES_SHOWN + 1)]
    assert len(views.endpoint_detail(endpoint(services=services)).services) == views.SERVICES_SHOWN


def test_telemetry_and_state_are_both_readings() -> None:

    found = replace(endpoint(metrics={"cpu.busy": 5.0}), telemetry={"cpu.busy": 4.0, "load.1m": 0.5})
    assert views.endpoint_detail(found).metrics == {"cpu.busy": 5.0, "load.1m": 0.5}


def test_a_plan_that_no_agent_could_carry_out_has_no_digest_to_approve() -> None:
    message = pack_event().exception_pack
    message.plan.forward.append(incident_pb2.Step())
    view = PackView("p", "ep", "web-1", "inc", "f", "s", "restart", "low", "waiting", START, START, "", None, "")
    detail = PackDetail(view, message, None, "", "", None, "", incident_open=True, endpoint_standing="active")
    said = views.approval_detail(detail, None)
    assert said.target.plan_digest == ""
    assert said.plan.forward == ["restart service web", "a step that this controller does not know"]
