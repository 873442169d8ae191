"""What became of a policy on an endpoint, from what both sides say."""

import pytest

from homeostat_controller.api.policy_views import _state, mistakes
from homeostat_controller.policies.document import compile_policy
from homeostat_controller.store.endpoints import PolicyStatusView
from homeostat_controller.store.policies import PublishedBytes

PUBLISHED = PublishedBytes("default", "web", 3, b"", b"", b"")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (PolicyStatusView(), "pending"),
        (PolicyStatusView(active_name="web", active_revision=3), "active"),
        (PolicyStatusView(active_name="web", active_revision=2), "pending"),
        (PolicyStatusView(active_name="web", active_revision=2, offered_name="web", offered_revision=3), "offered"),
        (
            PolicyStatusView(offered_name="web", offered_revision=3, rejected_name="web", rejected_revision=3),
            "rejected",
        ),
        (PolicyStatusView(rejected_name="web", rejected_revision=2), "pending"),
        (PolicyStatusView(active_name="other", active_revision=3), "pending"),
    ],
)
def test_states(said: PolicyStatusView, state: str) -> None:
    assert _state(said, PUBLISHED) == state


def test_mistakes_have_places_and_a_bare_sentence_is_about_the_whole() -> None:
    (found,) = mistakes(compile_policy("name: [").problems)
    assert found.line >= 1
    assert found.sentence
    (whole,) = mistakes(["the text holds no policy"])
    assert (whole.line, whole.column, whole.path, whole.sentence) == (1, 1, "", "the text holds no policy")
