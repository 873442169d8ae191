from datetime import UTC, datetime

from homeostat.wire.v1 import incident_pb2
from homeostat_controller.api.times import of_timestamp

NOW = datetime(2026, 3, 1, 12, 0, 0, 5000, tzinfo=UTC)


def test_a_time_comes_back_aware() -> None:
    step = incident_pb2.RunStep()
    step.at.FromDatetime(NOW)
    assert of_timestamp(step, "at") == NOW


def test_what_is_absent_or_no_date_is_none() -> None:
    assert of_timestamp(incident_pb2.RunStep(), "at") is None
    odd = incident_pb2.RunStep()
    odd.at.seconds = 2**62
    assert of_timestamp(odd, "at") is None
