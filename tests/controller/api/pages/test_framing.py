from fixtures_web import Web, signed_in


def test_the_frame_names_the_person_and_carries_the_sessions_csrf_token(web: Web) -> None:
    with signed_in(web) as (browser, csrf):
        page = browser.get("/incidents").text
    assert len(csrf) == 43
    assert page.count(csrf) == 1
    assert "<span>admin</span>" in page
    assert 'aria-current="page"' in page


def test_a_token_gets_no_csrf_token(seen: Web) -> None:
    with seen.client() as admin:
        assert 'name="csrf" value=""' in admin.get("/").text


def test_what_waits_is_counted_everywhere(seen: Web) -> None:
    with seen.client() as admin:
        for path in ("/", "/policies", "/incidents/none"):
            assert '<span class="count" data-live="waiting" >1</span>' in admin.get(path).text
