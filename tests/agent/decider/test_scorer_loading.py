from pathlib import Path

from fakes.built_model import model_folder
from homeostat_agent.config import Agent, AgentConfig
from homeostat_agent.decider.scorer_loading import USUAL, ScorerLoading


def config(tmp_path: Path) -> AgentConfig:
    (tmp_path / "models").mkdir()
    return AgentConfig(Agent(data_dir=str(tmp_path), model_dir=str(tmp_path / "models")))


def test_without_a_model_it_says_why(tmp_path: Path) -> None:
    loaded = ScorerLoading(config(tmp_path)).load()
    assert loaded.scorer is None
    assert loaded.why_not.startswith("No model can be used")


def test_a_model_that_comes_later_is_found(tmp_path: Path) -> None:
    loading = ScorerLoading(config(tmp_path))
    assert loading.load().scorer is None
    model_folder(tmp_path / "models")
    scorer = loading.load().scorer
    assert scorer is not None
    assert scorer.model
    scorer.close()


def test_a_state_that_cannot_be_used_is_dropped_aloud(tmp_path: Path) -> None:
    loading = ScorerLoading(config(tmp_path))
    model_folder(tmp_path / "models")
    (tmp_path / USUAL).write_text("{")
    loaded = loading.load()
    assert loaded.scorer is not None
    assert [one.code for one in loaded.notices] == ["usual-dropped"]
    loaded.scorer.close()
