"""Prometheus metrics of the decider, on loopback, and only where `metrics_listen` asks for them.

The library is loaded only then: it costs some MB. Numbers are read when they are asked for, from the decider's last
snapshot; nothing is counted twice.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class MetricsError(Exception):
    """The metrics cannot be served; the message says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The decider in numbers. `gauges` and `counters` are by metric name, `metrics` are the endpoint's last sample."""

    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def serve(listen: str, snapshot: Callable[[], Snapshot]) -> Callable[[], None]:
    """Serve on host:port in a thread of its own; return what ends it. Raises MetricsError."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if host not in LOOPBACK or not port.isdigit():
        raise MetricsError(f"agent.metrics_listen: {listen!r} is not 127.0.0.1:PORT")
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415  # only where it is asked for

    registry = CollectorRegistry()
    registry.register(_Collector(snapshot))
    try:
        server, thread = start_http_server(int(port), host, registry)
    except OSError as error:
        raise MetricsError(f"agent.metrics_listen: {listen}: {error.strerror}") from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


class _Collector:
    """Asked by the library at each scrape."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415  # loaded only where it is used

        now = self._snapshot()
        for name, value in now.gauges.items():
            yield GaugeMetricFamily(f"homeostat_agent_{name}", _words(name), value)
        for name, value in now.counters.items():
            yield CounterMetricFamily(f"homeostat_agent_{name}", _words(name), value)
        sample = GaugeMetricFamily("homeostat_endpoint_metric", "The endpoint's last sample.", labels=["metric"])
        for name, value in now.metrics.items():
            sample.add_metric([name], value)
        yield sample


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize() + "."
