"""What the controller measures about itself, in a registry of its own so that two controllers fit in one process.

The names and labels are a contract with those who scrape them.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Every metric of the controller."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions = self._gauge("sessions", "Sessions that are open")
        self.inbox_rows = self._gauge("inbox_rows", "Event records that wait to be stored")
        self.method_limit = self._gauge("method_limit", "Limits by method", "method", "kind")
        self.enrolments = self._counter("enrolments", "Enrolment requests, by result", "result")
        self.sessions_opened = self._counter("sessions_opened", "Sessions that endpoints opened")
        self.sessions_ended = self._counter("sessions_ended", "Sessions that ended, by cause", "cause")
        self.calls_refused = self._counter("calls_refused", "Calls and messages refused, by cause", "method", "cause")
        self.events_stored = self._counter("events_stored", "Event records stored")
        self.events_repeated = self._counter("events_repeated", "Event records that had been stored before")
        self.reports_written = self._counter("reports_written", "Endpoint reports written")
        self.policies_published = self._counter("policies_published", "Policy revisions published")
        self.policy_verdicts = self._counter("policy_verdicts", "Endpoints' answers to a policy offer", "verdict")
        self.approvals = self._counter("approvals", "Answers to exception packs", "answer")
        self.inbox_commit = self._histogram("inbox_commit_seconds", "Time to store one batch of events and reports")
        self.policy_verdict = self._histogram(
            "policy_verdict_seconds", "From a policy's offer to the endpoint's answer"
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"homeostat_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"homeostat_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"homeostat_{name}", text, buckets=_SECONDS, registry=self.registry)
