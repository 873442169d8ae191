from dataclasses import replace

import pytest
from domain_strategies import policies
from hypothesis import given, settings
from ruamel.yaml import YAML

from homeostat.policy import Delegation, Policy, Rule, Selector
from homeostat.policy_check import check
from homeostat_controller.policies.document import compile_policy
from homeostat_controller.policies.document_text import to_yaml


@settings(max_examples=60, deadline=None)
@given(policies())
def test_the_text_of_a_policy_stands_for_that_policy(policy: Policy) -> None:
    # Whether it passes the check or not: a policy whose values are well-formed is read back as it was, so both texts
    # have the same problems.
    text = to_yaml(policy)
    compiled = compile_policy(text)
    assert sorted(one.sentence for one in compiled.problems) == sorted(one.sentence for one in check(policy))
    if not compiled.problems:
        assert compiled.policy == replace(policy, revision=0)


@pytest.mark.parametrize(
    "word", ["true", "no", "null", "~", "12", "1e3", "0x1f", ".5", "2030-01-01", "=", "*a", "a: b"]
)
def test_texts_that_look_like_something_else_stay_texts(word: str) -> None:
    policy = Policy("web", description=word, selector=Selector({"key": (word,)}))
    assert compile_policy(to_yaml(policy)).policy == policy


@pytest.mark.parametrize("text", ["a\nb", " a ", "'\"\\", "é…😀", "a" * 1000, "- a\n- b\n", "# no comment"])
def test_free_texts_come_back(text: str) -> None:
    policy = Policy("web", description=text)
    assert compile_policy(to_yaml(policy)).policy == policy


def test_other_readers_of_yaml_understand_the_text_too() -> None:
    rules = (Rule("watch", frozenset(), ("service:*",), (), Delegation()),)
    data = YAML(typ="safe", pure=True).load(to_yaml(Policy("web", rules=rules)))
    assert data["rules"][0]["when"]["subject"] == ["service:*"]
    assert data["limits"]["failures"] == {"count": 2, "per": "1d"}
