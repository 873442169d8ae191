"""`run` and `actuate`: the two programs of an endpoint. Each loads its own half only."""

from homeostat_agent import logs
from homeostat_agent.cli.entry import Asked
from homeostat_agent.cli.exits import CommandError


def run(asked: Asked) -> int:
    """Run the decider until it is told to end."""
    from homeostat_agent import actuator  # noqa: PLC0415  # of the other half only this one function
    from homeostat_agent.decider.link import lean_grpc  # noqa: PLC0415  # loaded only where it is used

    actuator.spare_openssl()
    lean_grpc.load()
    from homeostat_agent.decider import app  # noqa: PLC0415  # only after that

    logs.set_up(asked.config.agent.log_level)
    try:
        return app.run(asked.config_path)
    except app.StartError as error:
        raise CommandError("The agent does not start.", str(error), "homeostat-agent doctor") from error


def actuate(asked: Asked) -> int:
    """Run the actuator until it is told to end."""
    from homeostat_agent import actuator  # noqa: PLC0415  # the other half must not be loaded

    actuator.spare_openssl()
    from homeostat_agent.actuator import app  # noqa: PLC0415  # only after that

    logs.set_up(asked.config.agent.log_level)
    try:
        return app.run(asked.config_path)
    except app.StartError as error:
        raise CommandError("The actuator does not start.", str(error), "homeostat-agent doctor") from error
