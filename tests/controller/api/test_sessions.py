from datetime import UTC, datetime, timedelta

from homeostat_controller.api.sessions import SESSION_LIFE, SESSIONS_MAX, WELCOME_LIFE, WELCOMES_MAX, Sessions, same

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


def test_a_session_is_found_by_its_cookie_until_it_ends() -> None:
    sessions = Sessions()
    cookie, session = sessions.start("admin", "admin", NOW)
    assert sessions.find(cookie, NOW + SESSION_LIFE - MOMENT) == session
    assert sessions.find(cookie, NOW + SESSION_LIFE) is None
    assert sessions.find("made-up", NOW) is None
    sessions.end(cookie)
    assert sessions.find(cookie, NOW) is None


def test_a_welcome_link_is_good_once() -> None:
    sessions = Sessions()
    secret, expires_at = sessions.invite("admin", "admin", NOW)
    assert expires_at == NOW + WELCOME_LIFE
    invited = sessions.accept(secret, NOW)
    assert invited is not None
    assert invited.name == "admin"
    assert sessions.accept(secret, NOW) is None


def test_an_old_welcome_link_is_refused() -> None:
    sessions = Sessions()
    secret, expires_at = sessions.invite("admin", "admin", NOW)
    assert sessions.accept(secret, expires_at) is None
    assert sessions.accept("made-up \udc80", NOW) is None


def test_the_tables_are_bounded_and_the_oldest_goes_first() -> None:
    sessions = Sessions()
    first, _ = sessions.start("admin", "admin", NOW)
    second, _ = sessions.start("admin", "admin", NOW)
    for _ in range(SESSIONS_MAX - 1):
        sessions.start("admin", "admin", NOW)
    assert sessions.find(first, NOW) is None
    assert sessions.find(second, NOW) is not None
    link, _ = sessions.invite("admin", "admin", NOW)
    for _ in range(WELCOMES_MAX):
        sessions.invite("admin", "admin", NOW)
    assert sessions.accept(link, NOW) is None


def test_the_expired_make_room_first() -> None:
    sessions = Sessions()
    sessions.start("admin", "admin", NOW - SESSION_LIFE)
    kept, _ = sessions.start("admin", "admin", NOW)
    for _ in range(SESSIONS_MAX - 1):
        sessions.start("admin", "admin", NOW)
    assert sessions.find(kept, NOW) is not None


def test_secrets_compare_whole() -> None:
    assert same("a", "a")
    assert not same("a", "b")
    assert not same("", "a")
