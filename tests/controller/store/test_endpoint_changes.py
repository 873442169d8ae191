"""What enrolment and people change about an endpoint."""

from datetime import timedelta

import pytest
from fixtures_controller import START, add_endpoint
from sqlalchemy.exc import IntegrityError

from homeostat_controller.store import endpoint_changes, endpoints, session_states
from homeostat_controller.store.conditions import Condition, Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.endpoint_changes import Certificate
from homeostat_controller.store.paging import PageRequest


def test_labels_are_replaced_in_both_places(database: Database) -> None:
    add_endpoint(database, labels={"role": "web", "tier": "gold"})
    with database.write() as connection:
        endpoint_changes.set_labels(connection, "ep-1", {"role": "db"})
    with database.read() as connection:
        assert endpoints.get(connection, "ep-1").view.labels == {"role": "db"}

        def labelled(field: str, value: str) -> int:
            wanted = Filter((Condition(field, (value,)),))
            return endpoints.list_page(connection, wanted, PageRequest()).total

        assert [labelled("label.role", "db"), labelled("label.role", "web"), labelled("label.tier", "*")] == [1, 0, 0]


def test_a_key_belongs_to_one_endpoint(database: Database) -> None:
    add_endpoint(database, "ep-1")
    with pytest.raises(IntegrityError):
        add_endpoint(database, "ep-1")
    add_endpoint(database, "ep-2")
    with pytest.raises(IntegrityError), database.write() as connection:
        endpoint_changes.set_certificate(connection, "ep-2", Certificate("key-of-ep-1", "2", START))


def test_a_renewed_certificate_is_recorded(database: Database) -> None:
    add_endpoint(database)
    later = START + timedelta(days=3)
    with database.write() as connection:
        endpoint_changes.set_certificate(connection, "ep-1", Certificate("new-key", "abc", later))
    with database.read() as connection:
        detail = endpoints.get(connection, "ep-1")
    assert (detail.public_key, detail.certificate_serial, detail.certificate_not_after) == ("new-key", "abc", later)


def test_standing_and_what_readmission_forgets(database: Database) -> None:
    add_endpoint(database)
    with database.write() as connection:
        session_states.write(connection, [session_states.Report("ep-1", START, connected=True, session_shown=99)])
        endpoint_changes.set_standing(connection, "ep-1", "frozen", "a copy was seen")
        assert session_states.barred(connection) == {"ep-1"}
        endpoint_changes.set_standing(connection, "ep-1", "active", "")
        endpoint_changes.forget_session(connection, "ep-1")
    with database.read() as connection:
        assert session_states.barred(connection) == frozenset()
        assert session_states.admission(connection, "ep-1").session_shown == 0
