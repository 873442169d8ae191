"""Run the actuator alone: `python -I -m homeostat_agent.actuator /path/of/agent.toml`. The leanest way to run it."""

import logging
import sys
from pathlib import Path

from homeostat_agent.actuator import spare_openssl


def main() -> int:
    """Run until told to end; one line says why when it cannot."""
    spare_openssl()
    from homeostat_agent.actuator.app import StartError, run  # noqa: PLC0415  # loaded only where it is used
    from homeostat_agent.config import ConfigError  # noqa: PLC0415  # loaded only where it is used

    logging.basicConfig(level=logging.INFO, format="time=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s")
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -I -m homeostat_agent.actuator AGENT_TOML\n")
        return 2
    try:
        return run(Path(sys.argv[1]))
    except (ConfigError, StartError) as error:
        sys.stderr.write(f"homeostat-agent actuate: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
