"""Run the actuator alone: `python -I -m homeostat_agent.actuator /path/of/agent.toml`."""

import logging
import sys
from pathlib import Path

from homeostat_agent.actuator.app import StartError, run
from homeostat_agent.config import ConfigError


def main() -> int:
    """Run until told to end; one line says why when it cannot."""
    logging.basicConfig(level=logging.INFO, format="time=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s")
    try:
        return run(Path(sys.argv[1]))
    except (ConfigError, StartError) as error:
        sys.stderr.write(f"homeostat-agent actuate: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
