"""Every metric carries the product's name, and two controllers in one process do not share them."""

from prometheus_client import generate_latest

from homeostat_controller.metrics import Metrics


def test_two_registries_are_apart_and_all_names_are_ours() -> None:
    one, other = Metrics(), Metrics()
    one.events_stored.inc(3)
    one.sessions_ended.labels("age").inc()
    text = generate_latest(one.registry).decode()
    names = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert all(name.startswith("homeostat_") for name in names)
    assert "homeostat_events_stored_total 3.0" in text
    assert 'homeostat_sessions_ended_total{cause="age"} 1.0' in text
    assert "homeostat_events_stored_total 0.0" in generate_latest(other.registry).decode()
