"""`enrol`: from a join token to an identity. The token comes from a file or stdin, never from an argument."""

import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from homeostat.wire.v1 import enrolment_pb2
from homeostat_agent.cli.entry import Asked
from homeostat_agent.cli.exits import CommandError, Exit
from homeostat_agent.cli.output import write_one
from homeostat_agent.decider import app
from homeostat_agent.decider.link.enrolment import TOKEN_CHARACTERS_MAX, Applicant, EnrolmentError, enrol

LAB = "a lab key that lies on the controller itself: not for a fleet you care about"


def enrol_endpoint(asked: Asked) -> int:
    """Enrol this endpoint and say what came of it."""
    now = datetime.now(UTC)
    token = _token(asked.options.token_file)
    name = asked.options.name or asked.config.agent.name or socket.gethostname()
    applicant = Applicant(name, endpoint_facts(asked))
    try:
        done = enrol(asked.config, token, applicant, now, again=asked.options.again)
    except EnrolmentError as error:
        raise CommandError("This endpoint could not be enrolled.", str(error), "homeostat enrol token create") from None
    row = {
        "endpoint": name,
        "id": done.endpoint_id,
        "labels": ", ".join(f"{key}={value}" for key, value in sorted(done.labels.items())) or "-",
        "controller": done.link_address,
        "certificate_until": done.certificate.not_after.isoformat(),
        "policies_signed_by": LAB if done.lab else "people's keys",
        "next": "homeostat-agent run",
    }
    write_one(row, asked.options.output)
    return int(Exit.DONE)


def endpoint_facts(asked: Asked) -> enrolment_pb2.EndpointFacts:
    """Return what this machine is, as the controller takes it."""
    return app.facts(dict(app.host(asked.config, lambda: datetime.now(UTC)).facts()))


def _token(source: str) -> str:
    if source == "-":
        if sys.stdin.isatty():
            print("Paste the join token, then Enter:", file=sys.stderr)
            return sys.stdin.readline(TOKEN_CHARACTERS_MAX)
        return sys.stdin.read(TOKEN_CHARACTERS_MAX)
    try:
        with Path(source).open(encoding="utf-8") as file:
            return file.read(TOKEN_CHARACTERS_MAX)
    except UnicodeDecodeError:
        raise CommandError(f"{source} holds no join token.", "It is no text.", code=Exit.USAGE) from None
