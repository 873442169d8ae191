import re

from fixtures_web import Web


def test_it_lives_and_can_serve_without_a_token(seen: Web) -> None:
    with seen.client("") as nobody:
        assert nobody.get("/healthz").json() == {"status": "ok"}
        assert nobody.get("/readyz").json() == {"status": "ok"}
        assert nobody.get("/metrics").status_code == 401


def test_metrics_name_routes_and_never_ids(seen: Web) -> None:
    with seen.client() as admin:
        admin.get("/api/v1/endpoints/ep-1")
        admin.get("/made/up/path")
        answer = admin.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert re.search(r'homeostat_http_requests_total\{method="GET",route="get_endpoint",status="200"\} \d', answer.text)
    assert "ep-1" not in answer.text
    assert "/made/up" not in answer.text
