"""`homeostat-agent`: what an administrator does on the endpoint itself.

Everything but `run`, `actuate` and `enrol` only reads, and works whether or not the agent runs.
"""

from homeostat_agent.cli.entry import main

__all__ = ["main"]
