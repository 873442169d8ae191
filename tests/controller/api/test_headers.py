from homeostat_controller.api.headers import HEADERS, POLICY


def test_the_policy_names_each_source_and_nothing_unsafe() -> None:
    parts = dict(part.strip().split(" ", 1) for part in POLICY.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["frame-ancestors"] == "'none'"
    assert parts["base-uri"] == "'none'"
    assert {parts[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {"'self'"}
    assert "unsafe" not in POLICY
    assert "*" not in POLICY


def test_our_own_forms_still_tell_their_origin() -> None:
    assert HEADERS["Referrer-Policy"] == "same-origin"
