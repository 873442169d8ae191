"""Prometheus metrics of an agent, on loopback, loaded only where `metrics_listen` is set.

Everything is read from what the decider has anyway, at the moment it is asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PREFIX = "homeostat_agent"


class MetricsError(Exception):
    """The metrics cannot be served; the message says why."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is shown. `endpoint` holds the newest sample by metric name; `own` is what the agent itself takes."""

    endpoint: Mapping[str, float]
    own: Mapping[str, float]
    health: str


class _Reader(Collector):
    def __init__(self, read: Callable[[], Numbers]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers of this moment."""
        numbers = self._read()
        endpoint = GaugeMetricFamily(f"{PREFIX}_endpoint", "The newest sample, by metric.", labels=["metric"])
        for name, value in numbers.endpoint.items():
            endpoint.add_metric([name], value)
        yield endpoint
        for name, value in numbers.own.items():
            yield GaugeMetricFamily(f"{PREFIX}_{name}", name.replace("_", " ").capitalize() + ".", value=value)
        health = GaugeMetricFamily(f"{PREFIX}_health", "1 for the state the endpoint is in.", labels=["state"])
        health.add_metric([numbers.health], 1.0)
        yield health


def serve(listen: str, read: Callable[[], Numbers]) -> Callable[[], None]:
    """Serve metrics on `listen` (host:port, loopback); return what stops it. Raises MetricsError."""
    host, _, port = listen.rpartition(":")
    if host not in ("127.0.0.1", "localhost", "[::1]") or not port.isdigit():
        raise MetricsError(f"agent.metrics_listen: {listen!r} is no loopback address with a port")
    registry = CollectorRegistry()
    registry.register(_Reader(read))
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry=registry)
    except OSError as error:
        raise MetricsError(f"agent.metrics_listen: {listen}: {error.strerror}") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
