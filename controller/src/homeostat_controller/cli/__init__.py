"""`homeostat`: the administrators' command line, a client of the controller's REST API.

Nouns are the console's menu, verbs are its buttons. Only `controller …` loads the server itself.
"""

from homeostat_controller.cli.entry import main

__all__ = ["main"]
