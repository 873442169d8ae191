import socket
import urllib.request

import pytest

from homeostat_agent import metrics
from homeostat_agent.metrics import MetricsError, Snapshot


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_numbers_of_this_moment_are_served() -> None:
    port = free_port()
    stop = metrics.serve(
        f"127.0.0.1:{port}", lambda: Snapshot({"outbox_records": 3}, {"samples": 7}, {"cpu.busy": 12.5})
    )
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    finally:
        stop()
    assert 'homeostat_endpoint_metric{metric="cpu.busy"} 12.5' in text
    assert "homeostat_agent_outbox_records 3.0" in text
    assert "homeostat_agent_samples_total 7.0" in text


@pytest.mark.parametrize("listen", ["0.0.0.0:9464", "192.0.2.1:9464", "9464", "127.0.0.1:x"])
def test_only_loopback_is_listened_on(listen: str) -> None:
    with pytest.raises(MetricsError, match=r"is not 127\.0\.0\.1:PORT"):
        metrics.serve(listen, Snapshot)


def test_a_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(MetricsError, match="metrics_listen"):
            metrics.serve(f"127.0.0.1:{taken.getsockname()[1]}", Snapshot)
