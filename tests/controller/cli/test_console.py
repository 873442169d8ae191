from fixtures_cli import Homeostat
from fixtures_web import Web


def test_a_link_that_signs_one_browser_in(homeostat: Homeostat, web: Web) -> None:
    done = homeostat("console", at=web)
    assert done.returncode == 0
    secret = done.stdout.strip().partition("#welcome=")[2]
    with web.client("", Origin=web.url) as browser:
        assert browser.post("/api/v1/session/welcome", json={"secret": secret}).status_code == 200
        assert browser.get("/").status_code == 200
