"""`python -m homeostat_agent` is `homeostat-agent`."""

import sys

from homeostat_agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
