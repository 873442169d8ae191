"""The link to the controller as the rest of the decider sees it: tell it things, be told things, never wait for it.

One thread holds the session and comes back after every end of it, however long the controller is away; the uplink and
the renewal have a thread each. Nothing here ever stops the endpoint from deciding.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from homeostat.wire.v1 import link_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.artifacts import fetch_artifact
from homeostat_agent.decider.link.channel import Connection
from homeostat_agent.decider.link.downlink import SESSION_TOKEN, Desk, Downlink, LinkListener
from homeostat_agent.decider.link.identity import (
    Identity,
    IdentityError,
    endpoint_labels,
    load_identity,
    trusted_keys_file,
)
from homeostat_agent.decider.link.judgement import Judge
from homeostat_agent.decider.link.outgoing import Outgoing
from homeostat_agent.decider.link.pace import Backoff, Surroundings
from homeostat_agent.decider.link.renewal import Renewal
from homeostat_agent.decider.link.session import Conversation, Ended, Session
from homeostat_agent.decider.link.uplink import Uplink
from homeostat_agent.decider.store.database import StoreError
from homeostat_agent.decider.store.recorder import Recorder

STORE_S_MAX = 60.0
STOP_S_MAX = 10.0
# A stream that ended because it was of age is followed by the next within this time.
AGED_S_MAX = 1.0

log = logging.getLogger(__name__)


class Link:
    """Everything between this endpoint and its controller.

    `hello` says what this agent is; it is called at the begin of each session. `listener` is called on the link's
    threads. Start it whether or not the endpoint is enrolled: it looks for an identity until there is one.
    """

    def __init__(
        self,
        config: AgentConfig,
        recorder: Recorder,
        listener: LinkListener,
        hello: Callable[[], link_pb2.Hello],
        surroundings: Surroundings,
    ) -> None:
        pace = surroundings.pace
        slowest_s = min(pace.backoff_s_most, config.controller.retry_s_max)
        surroundings = replace(surroundings, pace=replace(pace, backoff_s_most=slowest_s))
        self._config = config
        self._recorder = recorder
        self._hello = hello
        self._surroundings = surroundings
        self._labels: dict[str, str] = {}
        self._connected = threading.Event()
        self._stopped = threading.Event()
        self._session: Session | None = None
        self._connection = Connection()
        self._outgoing = Outgoing(self._whole_hello, surroundings.pace.message_s_least)
        self._uplink = Uplink(recorder, self._connection, surroundings)
        self._renewal = Renewal(config, self._connection, surroundings, self._reconnect)
        self._desk = Desk(recorder, listener, self._outgoing, surroundings.now, self._uplink.wake)
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the controller has answered in the session of now."""
        return self._connected.is_set()

    def start(self) -> None:
        """Begin to look for the controller."""
        self._uplink.start()
        self._renewal.start()
        self._thread.start()

    def stop(self) -> None:
        """End the session and all threads."""
        self._stopped.set()
        self._reconnect()
        if self._thread.is_alive():
            self._thread.join(STOP_S_MAX)
        self._uplink.stop(STOP_S_MAX)
        self._renewal.stop(STOP_S_MAX)
        self._connection.close()

    def publish_state(self, state: link_pb2.EndpointState) -> None:
        """Tell how the endpoint is; call it as often as you like, only the latest counts."""
        self._outgoing.set_state(state)

    def publish_policy_status(self, status: link_pb2.PolicyStatus) -> None:
        """Tell which policies are offered, active, last good and rejected, after a change that was not the link's."""
        self._outgoing.set_policy(status)

    def send_receipt(self, receipt: link_pb2.Receipt) -> None:
        """Tell what became of a grant; sent until the controller has acknowledged it."""
        self._outgoing.add_receipt(receipt)

    def outbox_changed(self) -> None:
        """Say that the spool has something new."""
        self._uplink.wake()

    def fetch_artifact(self, sha256: bytes, folder: Path) -> Path:
        """Return the path of content by its hash, fetched into `folder` where it is not there yet.

        Blocks. Raises ArtifactError, and NotConnected while there is no connection.
        """
        with self._connection.borrow() as channel:
            return fetch_artifact(channel, sha256, folder)

    def _run(self) -> None:
        backoff, failures = Backoff(self._surroundings), 0
        wait_s = self._surroundings.draw.uniform(0.0, self._surroundings.pace.first_try_s_max)
        while not self._stopped.wait(wait_s):
            identity = self._identity()
            if identity is None:
                wait_s = self._surroundings.pace.enrolled_s
                continue
            ended = self._hold_session(identity, over_stream=failures < self._surroundings.pace.stream_failures_max)
            failures = 0 if ended.established else failures + 1
            wait_s = self._wait_after(ended, backoff)

    def _wait_after(self, ended: Ended, backoff: Backoff) -> float:
        if ended.established:
            backoff.succeeded()
        if ended.aged:
            return self._surroundings.draw.uniform(0.0, AGED_S_MAX)
        wait_s = backoff.wait_s(ended.retry_after_s)
        if not self._stopped.is_set():
            log.info("event=session-ended reason=%r again_in_s=%.1f", ended.why, wait_s)
        return wait_s

    def _identity(self) -> Identity | None:
        try:
            return load_identity(self._config)
        except IdentityError as error:
            log.warning("event=identity-unusable reason=%r", str(error))
            return None

    def _hold_session(self, identity: Identity, *, over_stream: bool) -> Ended:
        try:
            return self._try_session(identity, over_stream=over_stream)
        except (StoreError, TimeoutError, OSError) as error:
            return Ended(f"the session cannot be prepared: {error}")
        except Exception:
            # Whatever went wrong in one session, the next must be tried: nothing else would bring the link back.
            log.exception("event=link-broken")
            return Ended("the session broke")

    def _try_session(self, identity: Identity, *, over_stream: bool) -> Ended:
        receive = self._prepare(identity)
        self._connection.open(identity)
        try:
            with self._connection.borrow() as channel:
                conversation = Conversation(
                    identity.endpoint_id,
                    identity.link_address,
                    self._outgoing,
                    receive,
                    lambda: self._established(identity),
                )
                self._session = Session(channel, conversation, self._surroundings)
                if self._stopped.is_set():
                    return Ended("the link is stopped")
                return self._session.run() if over_stream else self._session.poll()
        finally:
            self._session = None
            self._connected.clear()
            self._connection.close()

    def _prepare(self, identity: Identity) -> Callable[[link_pb2.ControllerMessage], None]:
        self._labels = endpoint_labels(self._config, identity)
        keys = trusted_keys_file(self._config).read_bytes()
        judge = Judge(keys, self._labels, self._hello().agent_version)
        token, status = self._recorder.submit(
            lambda stores: (stores.state.get(SESSION_TOKEN), stores.policies.status(judge.digest))
        ).result(STORE_S_MAX)
        self._outgoing.set_token(token or b"")
        self._outgoing.set_policy(status)
        return Downlink(self._desk, judge).receive

    def _whole_hello(self) -> link_pb2.Hello:
        hello = link_pb2.Hello()
        hello.CopyFrom(self._hello())
        try:
            hello.next_event = self._recorder.submit(lambda stores: stores.spool.state()).result(STORE_S_MAX).first
        except (StoreError, TimeoutError) as error:
            log.warning("event=spool-unreadable reason=%r", str(error))
        hello.labels.clear()
        hello.labels.update(self._labels)
        return hello

    def _established(self, identity: Identity) -> None:
        log.info("event=session-established endpoint=%s", identity.endpoint_id)
        self._connected.set()
        self._uplink.connected(identity)

    def _reconnect(self) -> None:
        session = self._session
        if session is not None:
            session.cancel()
