"""The child that works with the endpoint's key and ends: `python -I -m homeostat_agent.identity_child WHAT FOLDER`.

`request` reads a common name and answers with a certificate request; `inspect` reads the length of a certificate's PEM
(4 bytes, big-endian), it and its authority's PEM, and answers with its URI and its validity, a line each.
"""

import struct
import sys
from pathlib import Path

from homeostat_agent import isolation

REQUEST_BYTES_MAX = 256 << 10
LENGTH = struct.Struct(">I")


def main(arguments: list[str]) -> int:
    """Answer one request about the folder that `arguments` names."""
    return isolation.serve(lambda request: _answer(arguments, request), REQUEST_BYTES_MAX)


def _answer(arguments: list[str], request: bytes) -> bytes:
    from homeostat_agent import keys  # noqa: PLC0415  # only under the limits

    what, folder = arguments
    try:
        if what == "request":
            return keys.certificate_request(Path(folder), request.decode())
        (length,) = LENGTH.unpack_from(request)
        certificate = request[LENGTH.size :]
        facts = keys.inspect(Path(folder), certificate[:length], certificate[length:])
    except keys.KeyProblem as problem:
        raise isolation.Refusal(str(problem)) from problem
    return f"{facts.uri}\n{facts.not_before.isoformat()}\n{facts.not_after.isoformat()}".encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
