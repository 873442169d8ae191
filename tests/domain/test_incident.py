from dataclasses import replace

from domain_values import DOWN, NOW


def test_an_incident_is_open_until_it_is_closed() -> None:
    assert DOWN.closed_at is None
    closed = replace(DOWN, closed_at=NOW)
    assert closed != DOWN
    assert replace(closed, closed_at=None) == DOWN


def test_an_incident_needs_no_labels() -> None:
    assert DOWN.labels == {}
