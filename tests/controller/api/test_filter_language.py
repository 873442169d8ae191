from datetime import UTC, datetime, timedelta

import pytest
from homeostat_controller.api.filter_language import (
    AGE_DAYS_MAX,
    APPROVAL_FIELDS,
    ENDPOINT_FIELDS,
    FILTER_CHARACTERS_MAX,
    INCIDENT_FIELDS,
    TERMS_MAX,
    VALUES_MAX,
    Field,
    Filter,
    FilterError,
    Kind,
    Operator,
    Term,
    matches,
    parse,
    write,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEB = {
    "name": "web-1",
    "status": "ok",
    "site": "Lyon HQ",
    "os": "Debian GNU/Linux",
    "last_seen": NOW - timedelta(minutes=5),
    "open_incidents": 2,
    "label.role": "web",
}


# Everything that means something in the language, and something that does not.
TRICKY = ' \t-<>=:,*[]?"abØ1.'


def selected(text: str) -> bool:
    return matches(parse(text, ENDPOINT_FIELDS), WEB, ENDPOINT_FIELDS, NOW)


def test_the_languages_own_example_parses():
    found = parse("status:ok -site:lyon os:debian last_seen:<1h", ENDPOINT_FIELDS)
    assert found.terms == (
        Term("status", ("ok",)),
        Term("site", ("lyon",), negated=True),
        Term("os", ("debian",)),
        Term("last_seen", (timedelta(hours=1),), Operator.BELOW),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "web",
        "WEB-1",
        '"lyon hq"',
        "status:ok",
        "status:OK",
        "status:degraded,ok",
        "-status:offline",
        "os:debian*",
        'site:"Lyon HQ"',
        "site:lyon*",
        "last_seen:<1h",
        "last_seen:>=5m",
        "-last_seen:>1d",
        "open_incidents:2",
        "open_incidents:>1.5",
        "label.role:web",
        "-label.tier:gold",
        "web status:ok last_seen:<=300s",
    ],
)
def test_it_selects(text: str):
    assert selected(text)


@pytest.mark.parametrize(
    "text",
    [
        "db",
        "-web",
        "status:degraded",
        "-status:ok",
        "os:debian",
        "os:?ebian*",
        "site:[L]yon*",
        "last_seen:>1h",
        "open_incidents:<2",
        "label.role:db",
        "label.tier:gold",
        "policy:*",
        "status:ok db",
    ],
)
def test_it_leaves_out(text: str):
    assert not selected(text)


@pytest.mark.parametrize(
    ("text", "position", "instead"),
    [
        ("statsu:ok", 0, "Did you mean status?"),
        ("web nothing:x", 4, "label.NAME"),
        ("-colour:red", 1, "label.NAME"),
        ("status:okk", 7, "Did you mean ok?"),
        ("status:purple", 7, "degraded"),
        ("status:<ok", 7, "status:VALUE"),
        ("last_seen:1h", 10, "last_seen:<1h"),
        ("last_seen:<soon", 11, "units are s, m, h, d, w"),
        ("last_seen:<1²h", 11, "units are"),
        ("last_seen:<99999w", 11, "shorter"),
        ("open_incidents:many", 15, "open_incidents:>0.5"),
        ("open_incidents:1e999", 15, "open_incidents"),
        ("name:", 5, "after the colon"),
        ("name:a,,b", 7, "after the colon"),
        ('web "open', 4, "two words"),
        ('name:a"b"', 5, "Quote the whole value"),
        (":x", 0, "Use one of"),
        ("label.:x", 0, "Use one of"),
    ],
)
def test_an_error_says_where_and_what_to_write_instead(text: str, position: int, instead: str):
    with pytest.raises(FilterError) as caught:
        parse(text, ENDPOINT_FIELDS)
    assert caught.value.position == position
    assert instead in caught.value.instead


def test_the_bounds():
    parse("a" * FILTER_CHARACTERS_MAX, ENDPOINT_FIELDS)
    parse(" ".join("a" * TERMS_MAX), ENDPOINT_FIELDS)
    parse("name:" + ",".join("a" * VALUES_MAX), ENDPOINT_FIELDS)
    parse(f"last_seen:<{AGE_DAYS_MAX}d", ENDPOINT_FIELDS)
    for text in (
        "a" * (FILTER_CHARACTERS_MAX + 1),
        " ".join("a" * (TERMS_MAX + 1)),
        "name:" + ",".join("a" * (VALUES_MAX + 1)),
        f"last_seen:<{AGE_DAYS_MAX + 1}d",
    ):
        with pytest.raises(FilterError):
            parse(text, ENDPOINT_FIELDS)


def values_of(field: Field) -> st.SearchStrategy[str | float | timedelta]:
    match field.kind:
        case Kind.TEXT:
            return st.text(TRICKY.replace('"', ""), min_size=1, max_size=8)
        case Kind.CHOICE:
            return st.sampled_from(field.choices)
        case Kind.AGE:
            return st.integers(0, 86_400).map(lambda seconds: timedelta(seconds=seconds))
        case Kind.NUMBER:
            return st.integers(-1000, 1000).map(lambda number: number / 8)


@st.composite
def terms(draw: st.DrawFn) -> Term:
    field = draw(st.sampled_from((*INCIDENT_FIELDS, *APPROVAL_FIELDS, Field("label.role"))))
    if draw(st.booleans()):
        return Term("", (draw(values_of(Field("")).filter(str)),), negated=draw(st.booleans()))
    operators = [Operator.IS] if field.kind in (Kind.TEXT, Kind.CHOICE) else list(Operator)
    if field.kind is Kind.AGE:
        operators.remove(Operator.IS)
    values = draw(st.lists(values_of(field), min_size=1, max_size=3))
    return Term(field.name, tuple(values), draw(st.sampled_from(operators)), draw(st.booleans()))


@given(st.lists(terms(), max_size=5))
def test_what_is_written_parses_to_the_same(drawn: list[Term]):
    wanted = Filter(tuple(drawn))
    fields = tuple({field.name: field for field in (*APPROVAL_FIELDS, *INCIDENT_FIELDS)}.values())
    both = tuple(
        Field(one.name, one.kind, tuple({*one.choices, *_choices(one.name)}), words=one.words) for one in fields
    )
    assert parse(write(wanted), both) == wanted


def _choices(name: str) -> tuple[str, ...]:
    return tuple(c for f in (*APPROVAL_FIELDS, *INCIDENT_FIELDS) if f.name == name for c in f.choices)


def parsed(text: str) -> Filter | FilterError:
    try:
        return parse(text, ENDPOINT_FIELDS)
    except FilterError as error:
        return error


@given(st.text(TRICKY, max_size=40) | st.builds("{}:{}".format, st.just("name"), st.text(TRICKY, max_size=20)))
def test_any_text_parses_or_is_refused_at_a_place_inside(text: str):
    found = parsed(text)
    if isinstance(found, FilterError):
        assert 0 <= found.position <= len(text)
        assert found.instead
    else:
        assert matches(found, WEB, ENDPOINT_FIELDS, NOW) in (True, False)


@given(st.lists(terms(), max_size=3))
def test_negating_a_term_selects_just_the_others(drawn: list[Term]):
    for term in drawn:
        other = Term(term.field, term.values, term.operator, not term.negated)
        record = {"endpoint": "web-1", "fault": "disk-full", "confidence": 0.5, "opened": NOW, "status": "open"}
        plain = matches(Filter((term,)), record, INCIDENT_FIELDS, NOW)
        assert matches(Filter((other,)), record, INCIDENT_FIELDS, NOW) is not plain
