"""Enrolment tokens are redeemed once; API tokens live until they are revoked or expire; no secret is kept."""

import threading
from datetime import timedelta

import pytest
from fixtures_controller import START
from sqlalchemy import text

from homeostat_controller.errors import NotFound
from homeostat_controller.store import tokens
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest
from homeostat_controller.store.tokens import NewApiToken, NewToken, Redemption

HOUR = timedelta(hours=1)


def add(database: Database, name: str = "tok-1", secret: bytes = b"s1") -> None:
    with database.write() as connection:
        new = NewToken(name, secret, "default", {"role": "web"}, "for the demo", "anna", START + HOUR)
        tokens.add(connection, new, START)


def test_two_hundred_at_once_and_one_redeems(database: Database) -> None:
    add(database)
    won: list[int] = []

    def redeem(number: int) -> None:
        with database.write() as connection:
            if tokens.redeem(connection, "tok-1", Redemption(f"key-{number}", "n", f"ep-{number}"), START):
                won.append(number)

    threads = [threading.Thread(target=redeem, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    with database.read() as connection:
        token = tokens.get(connection, "tok-1", START)
    assert (token.status, token.public_key, token.endpoint_id) == ("redeemed", f"key-{won[0]}", f"ep-{won[0]}")


def test_an_expired_token_is_not_redeemed_and_says_so(database: Database) -> None:
    add(database)
    late = START + HOUR
    with database.write() as connection:
        assert not tokens.redeem(connection, "tok-1", Redemption("k", "n", "ep"), late)
    with database.read() as connection:
        assert tokens.get(connection, "tok-1", late).status == "expired"
        assert tokens.get(connection, "tok-1", late - timedelta(seconds=1)).status == "open"


def test_a_token_is_found_by_its_secret_only(database: Database) -> None:
    add(database)
    with database.write() as connection:
        found = tokens.by_secret(connection, b"s1", START)
        assert found is not None
        assert (found.id, found.labels) == ("tok-1", {"role": "web"})
        assert tokens.by_secret(connection, b"s2", START) is None
        kept = connection.execute(text("SELECT secret_hash FROM enrolment_token")).scalar_one()
    assert "s1" not in kept


def test_lists_by_status(database: Database) -> None:
    for number in range(4):
        add(database, f"tok-{number}", f"s{number}".encode())
    with database.write() as connection:
        assert tokens.set_status(connection, "tok-0", "open", "revoked")
        assert not tokens.set_status(connection, "tok-0", "open", "revoked")
        tokens.redeem(connection, "tok-1", Redemption("k", "n", "ep"), START)
    with database.read() as connection:

        def ids(status: str, hours: int = 0) -> list[str]:
            page = tokens.list_page(connection, status, PageRequest(), START + hours * HOUR)
            return sorted(one.id for one in page.items)

        assert ids("") == ["tok-0", "tok-1", "tok-2", "tok-3"]
        assert (ids("open"), ids("expired")) == (["tok-2", "tok-3"], [])
        assert (ids("open", 1), ids("expired", 1)) == ([], ["tok-2", "tok-3"])
        assert (ids("revoked"), ids("redeemed", 1)) == (["tok-0"], ["tok-1"])
        with pytest.raises(NotFound):
            tokens.get(connection, "tok-9", START)


def test_api_tokens_live_until_revoked_or_expired(database: Database) -> None:
    with database.write() as connection:
        tokens.add_api_token(connection, NewApiToken("api-1", "ci", "secret-1", "admin", "anna"), START)
        ending = NewApiToken("api-2", "tmp", "secret-2", "admin", "anna", expires_at=START + HOUR)
        tokens.add_api_token(connection, ending, START)
        tokens.touch_api_token(connection, "api-1", START + HOUR)
    with database.read() as connection:
        found = tokens.live_api_token(connection, "secret-1", START)
        assert found is not None
        assert (found.name, found.scope, found.last_used_at) == ("ci", "admin", START + HOUR)
        assert tokens.live_api_token(connection, "secret-2", START) is not None
        assert tokens.live_api_token(connection, "secret-2", START + HOUR) is None
        assert tokens.live_api_token(connection, "secret-3", START) is None
        assert tokens.api_tokens(connection, PageRequest()).total == 2
    with database.write() as connection:
        tokens.revoke_api_token(connection, "api-1", START)
        assert tokens.live_api_token(connection, "secret-1", START) is None
    with pytest.raises(NotFound), database.write() as connection:
        tokens.revoke_api_token(connection, "api-1", START)
