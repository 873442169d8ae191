"""Bodies over a real socket: announced, and in chunks."""

from collections.abc import Iterator

from fixtures_web import Web

from homeostat_controller.api.app import BODY_BYTES_MAX

CHECK = "/api/v1/policies/check"


def chunks(size: int) -> Iterator[bytes]:
    """A body without a length."""
    while size > 0:
        yield b" " * min(size, 1 << 16)
        size -= 1 << 16


def test_a_body_that_announces_too_much_is_refused(seen: Web) -> None:
    with seen.client() as admin:
        answer = admin.post(CHECK, content=b" " * (BODY_BYTES_MAX + 1))
    assert answer.status_code == 413
    assert answer.json()["title"] == "The request is too large."


def test_a_body_in_chunks_is_cut_off_at_the_bound(seen: Web) -> None:
    with seen.client() as admin:
        assert admin.post(CHECK, content=chunks(BODY_BYTES_MAX)).status_code == 422
        assert admin.post(CHECK, content=chunks(BODY_BYTES_MAX + 1)).status_code == 413


def test_a_body_at_the_bound_is_read(seen: Web) -> None:
    with seen.client() as admin:
        assert admin.post(CHECK, content=b" " * BODY_BYTES_MAX).status_code == 422
