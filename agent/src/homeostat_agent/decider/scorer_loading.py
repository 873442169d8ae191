"""Finds the model to score by, at the start and whenever the model folder changes.

A model that cannot be used is never fatal: the agent then only observes, and says why.
"""

from dataclasses import dataclass
from pathlib import Path

from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.model_folder import ModelRefused
from homeostat_agent.decider.onnx_library import OnnxError, OnnxLibrary
from homeostat_agent.decider.scoring import Notice, OnnxScorer, Scorer

# What was learnt of this endpoint.
USUAL = "usual.json"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scorer, or in a sentence why there is none; and what people should be told."""

    scorer: Scorer | None
    why_not: str = ""
    notices: tuple[Notice, ...] = ()


class ScorerLoading:
    """Opens scorers over one copy of the library, which is loaded once."""

    def __init__(self, config: AgentConfig) -> None:
        self._folder = Path(config.agent.model_dir)
        self._state = Path(config.agent.data_dir, USUAL)
        self._library: OnnxLibrary | None = None

    def load(self) -> Loaded:
        """Return the newest usable model's scorer."""
        try:
            if self._library is None:
                self._library = OnnxLibrary()
            scorer, notices = OnnxScorer.open(self._folder, self._state, self._library)
        except (ModelRefused, OnnxError) as error:
            return Loaded(None, f"No model can be used: {error}.")
        return Loaded(scorer, "", notices)
