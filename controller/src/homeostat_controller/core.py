"""Everything the controller is, built once: what the API, the listeners and the periodic tasks share.

The services here are thread-safe and blocking, but for `sessions`, `reports` and `inbox`, which say what may be called
from where. Queries are functions of `store` over `database.read()`.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from homeostat_controller.agents import authority as authorities
from homeostat_controller.agents import enrolment as enrolments
from homeostat_controller.agents.authority import Authority
from homeostat_controller.agents.enrolment import Addresses, Enrolment
from homeostat_controller.agents.inbox import Inbox
from homeostat_controller.agents.offers import BoardReader
from homeostat_controller.agents.reports import Reports
from homeostat_controller.agents.sessions import Sessions
from homeostat_controller.agents.standing import Standings
from homeostat_controller.approvals import answering
from homeostat_controller.approvals.answering import Approvals
from homeostat_controller.clock import Clock
from homeostat_controller.config import Settings
from homeostat_controller.metrics import Metrics
from homeostat_controller.policies import signing
from homeostat_controller.policies.editing import Compile, Editing
from homeostat_controller.policies.signing import Signer
from homeostat_controller.store import schema, session_states
from homeostat_controller.store.database import Database

INBOX_CLOSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Core:
    """The controller's parts.

    enrolment: create_token, revoke_token · standings: revoke, freeze, readmit · editing: check, save_draft,
    discard_draft, publish, publish_text, withdraw · approvals: approve, deny · signer.trusted_keys().lab says whether
    content is signed by a lab key.
    """

    settings: Settings
    clock: Clock
    ticks: Callable[[], float]
    metrics: Metrics
    database: Database
    authority: Authority
    signer: Signer
    standings: Standings
    addresses: Addresses
    enrolment: Enrolment
    editing: Editing
    approvals: Approvals
    board: BoardReader
    sessions: Sessions
    reports: Reports
    inbox: Inbox

    def close(self) -> None:
        """Store what waits and let go of the database."""
        self.inbox.close(INBOX_CLOSE_S)
        self.database.close()


def build(settings: Settings, clock: Clock, compile_text: Compile, addresses: Addresses | None = None) -> Core:
    """Open the data folder and the database, bring its schema up to date, and put the parts together.

    Raises ControllerError with a sentence when one of them cannot be used.
    """
    addresses = addresses or Addresses()
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = authorities.load_or_create(settings.data_dir / "authority", clock())
    signer = signing.load_or_create(settings.data_dir)
    settings.artifacts_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.database)
    schema.migrate(database, clock())
    with database.write() as connection:
        session_states.disconnect_all(connection)
    metrics = Metrics()
    sessions = Sessions(settings, time.monotonic, random.SystemRandom(), metrics)
    standings = Standings(database, clock, sessions.cut)
    board = BoardReader(database, sessions.take_board)
    editing = Editing(database, clock, signer, compile_text, metrics)
    editing.on_published(board.refresh)
    grant_life = timedelta(seconds=settings.grant_life_s)
    approvals = Approvals(answering.Desk(database, clock, signer, grant_life, metrics))
    approvals.on_answered(sessions.tell)
    board.refresh()
    return Core(
        settings=settings,
        clock=clock,
        ticks=time.monotonic,
        metrics=metrics,
        database=database,
        authority=authority,
        signer=signer,
        standings=standings,
        addresses=addresses,
        enrolment=Enrolment(
            enrolments.Desk(
                database=database,
                clock=clock,
                authority=authority,
                standings=standings,
                trusted_keys=signer.trusted_keys(),
                addresses=addresses,
                certificate_life=timedelta(hours=settings.certificate_life_h),
                token_life_max=timedelta(seconds=settings.token_life_max_s),
            )
        ),
        editing=editing,
        approvals=approvals,
        board=board,
        sessions=sessions,
        reports=Reports(),
        inbox=Inbox(database, clock, settings.limits.inbox_rows_max, metrics),
    )
