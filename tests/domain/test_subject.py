from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from homeostat.subject import ENDPOINT, Subject, SubjectKind, can_match, pattern_covers

WEB = Subject(SubjectKind.SERVICE, "web-1")
names = st.from_regex(r"[a-z0-9][a-z0-9._@-]{0,4}", fullmatch=True)
subjects = st.builds(Subject, st.sampled_from(SubjectKind), names) | st.just(ENDPOINT)
# Around the interesting characters, so that patterns and names meet.
patterns = st.text("sevc:w1*?[]!-a.", max_size=8) | st.tuples(
    st.sampled_from(("service:", "*:", "s*", "[sp]*:", "endpoint:", "?older:", "")), st.text("ab*?[]!-1.", max_size=5)
).map("".join)


def test_a_subject_is_written_as_kind_and_name() -> None:
    assert str(WEB) == "service:web-1"
    assert str(ENDPOINT) == "endpoint:self"


@pytest.mark.parametrize("pattern", ["*", "service:*", "service:web-?", "s*:web-[0-9]", "service:web-1", "*[!2]"])
def test_patterns_that_match(pattern: str) -> None:
    assert WEB.matches(pattern)


@pytest.mark.parametrize("pattern", ["", "service", "web-1", "Service:*", "process:*", "service:web-[!1]"])
def test_patterns_that_do_not_match(pattern: str) -> None:
    assert not WEB.matches(pattern)


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [
        ("*", set(SubjectKind)),
        ("*:*", set(SubjectKind)),
        ("service:*", {SubjectKind.SERVICE}),
        ("[sp]*:a?", {SubjectKind.SERVICE, SubjectKind.PROCESS}),
        ("f*", {SubjectKind.FOLDER, SubjectKind.FILE}),
        ("endpoint:*", {SubjectKind.ENDPOINT}),
        ("endpoint:other", set()),
        ("service", set()),
        ("service:", set()),
        ("service:Web", set()),
        ("service:-x", set()),
        ("service:.?", set()),
        ("service:[!a-z0-9]*", set()),
        ("service:[", set()),
        ("web", set()),
        ("", set()),
        ("service:a:b", set()),
    ],
)
def test_which_kinds_a_pattern_can_match(pattern: str, kinds: set[SubjectKind]) -> None:
    assert {kind for kind in SubjectKind if can_match(pattern, kind)} == kinds


@given(patterns, subjects)
@example("service:[]]", WEB)
@example("service:[!]a]*", WEB)
def test_what_matches_could_match(pattern: str, subject: Subject) -> None:
    assert can_match(pattern, subject.kind) or not subject.matches(pattern)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("*", "service:*"),
        ("service:*", "service:*"),
        ("service:*", "service:web-[0-9]"),
        ("s*", "service:*"),
        ("service:?*", "service:w*"),
        ("service:[a-z]", "service:[xyz]"),
        ("service:w?b", "service:web"),
        ("*:web", "service:web"),
        ("a**", "a*"),
        ("[sp]*", "[sp]*"),
    ],
)
def test_a_pattern_that_covers_another(wide: str, narrow: str) -> None:
    assert pattern_covers(wide, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("service:*", "*"),
        ("service:?", "service:*"),
        ("service:w*", "service:*"),
        ("*x*", "[xz]y"),
        ("service:[ab]", "service:[abc]"),
        ("service:a", "service:ab"),
        ("service:ab", "service:a"),
        ("process:*", "service:*"),
        ("service:a", "service:?"),
    ],
)
def test_a_pattern_that_does_not_cover_another(wide: str, narrow: str) -> None:
    assert not pattern_covers(wide, narrow)


@given(patterns, patterns, subjects)
def test_covering_is_never_said_wrongly(wide: str, narrow: str, subject: Subject) -> None:
    if pattern_covers(wide, narrow) and subject.matches(narrow):
        assert subject.matches(wide)


@given(patterns)
def test_a_pattern_covers_itself_and_is_covered_by_everything(pattern: str) -> None:
    assert pattern_covers(pattern, pattern)
    assert pattern_covers("*", pattern)


@given(patterns, st.text("sevc:w1a.", max_size=8))
def test_characters_and_classes_are_read_as_fnmatch_reads_them(pattern: str, text: str) -> None:
    # A text without wildcards is a pattern for itself alone, so covering it is matching it.
    assert pattern_covers(pattern, text) == fnmatchcase(text, pattern)


def test_long_patterns_are_answered_at_once() -> None:
    assert pattern_covers("*a" * 50, "*a" * 50 + "a")
    assert not pattern_covers("*a" * 50 + "b", "*a" * 50)
    assert can_match("service:" + "*a" * 46, SubjectKind.SERVICE)
