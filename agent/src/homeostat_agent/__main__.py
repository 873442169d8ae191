"""`python -m homeostat_agent` is `homeostat-agent`; the actuator, as the decider starts it, goes without the rest."""

import sys


def main() -> int:
    """Run a command; `actuate --config FILE` without loading what only the other commands need, some 3 MB."""
    if sys.argv[1:3] == ["actuate", "--config"] and len(sys.argv) == 4:
        from homeostat_agent import logs  # noqa: PLC0415  # loaded only where it is used
        from homeostat_agent.actuator import __main__ as actuator  # noqa: PLC0415  # loaded only where it is used

        logs.set_up("info")
        sys.argv[1:] = sys.argv[3:]
        return actuator.main()
    from homeostat_agent.cli import main as command_line  # noqa: PLC0415  # loaded only where it is used

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
