from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    parse,
    write,
)

# Everything that means something in the language, and something that does not.
TRICKY = ' \t-<>=:,*[]?"abØ1.'


def test_the_languages_own_example_parses() -> None:
    found = parse("status:ok -site:lyon os:debian last_seen:<1h", ENDPOINT_FIELDS)
    assert found.terms == (
        Term("status", ("ok",)),
        Term("site", ("lyon",), negated=True),
        Term("os", ("debian",)),
        Term("last_seen", (timedelta(hours=1),), Operator.BELOW),
    )


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("WEB-1", Term("", ("WEB-1",))),
        ("-web", Term("", ("web",), negated=True)),
        ('"lyon hq"', Term("", ("lyon hq",))),
        ("-", Term("", ("-",))),
        ("status:OK", Term("status", ("ok",))),
        ("status:degraded,ok", Term("status", ("degraded", "ok"))),
        ('site:"Lyon HQ",paris', Term("site", ("Lyon HQ", "paris"))),
        ("os:debian*", Term("os", ("debian*",))),
        ("last_seen:>=5m", Term("last_seen", (timedelta(minutes=5),), Operator.AT_LEAST)),
        ("last_seen:>2w", Term("last_seen", (timedelta(weeks=2),), Operator.ABOVE)),
        ("open_incidents:>1.5", Term("open_incidents", (1.5,), Operator.ABOVE)),
        ("open_incidents:2", Term("open_incidents", (2.0,))),
        ("-label.role:web", Term("label.role", ("web",), negated=True)),
        ("name:a:b", Term("name", ("a:b",))),
    ],
)
def test_one_term(text: str, term: Term) -> None:
    assert parse(text, ENDPOINT_FIELDS).terms == (term,)


@pytest.mark.parametrize("text", ["", "   ", "\t\n"])
def test_nothing_selects_everything(text: str) -> None:
    assert parse(text, ENDPOINT_FIELDS) == Filter()


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
def test_an_error_says_where_and_what_to_write_instead(text: str, position: int, instead: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text, ENDPOINT_FIELDS)
    assert caught.value.position == position
    assert instead in caught.value.instead


def test_the_bounds() -> None:
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
def test_what_is_written_parses_to_the_same(drawn: list[Term]) -> None:
    wanted = Filter(tuple(drawn))
    fields = tuple({field.name: field for field in (*APPROVAL_FIELDS, *INCIDENT_FIELDS)}.values())
    both = tuple(Field(one.name, one.kind, tuple({*one.choices, *_choices(one.name)})) for one in fields)
    assert parse(write(wanted), both) == wanted


def _choices(name: str) -> tuple[str, ...]:
    return tuple(c for f in (*APPROVAL_FIELDS, *INCIDENT_FIELDS) if f.name == name for c in f.choices)


def parsed(text: str) -> Filter | FilterError:
    try:
        return parse(text, ENDPOINT_FIELDS)
    except FilterError as error:
        return error


@given(st.text(TRICKY, max_size=40) | st.builds("{}:{}".format, st.just("name"), st.text(TRICKY, max_size=20)))
def test_any_text_parses_or_is_refused_at_a_place_inside(text: str) -> None:
    found = parsed(text)
    if isinstance(found, FilterError):
        assert 0 <= found.position <= len(text)
        assert found.instead
    else:
        assert len(found.terms) <= TERMS_MAX
