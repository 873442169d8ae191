"""The child that verifies one signed content and ends: `python -I -m homeostat_agent.verification_child KIND`.

Request: the length of the Signed (4 bytes, big-endian), the Signed, the TrustedKeys. Answer: the payload, or why not.
Its limits are set before cryptography and the content are touched.
"""

import sys

from homeostat_agent import isolation
from homeostat_agent.verification import LENGTH, REQUEST_BYTES_MAX, Refused


def main(arguments: list[str]) -> int:
    """Answer one request about the kind that `arguments` names."""
    return isolation.serve(lambda request: _answer(arguments, request), REQUEST_BYTES_MAX)


def _answer(arguments: list[str], request: bytes) -> bytes:
    from homeostat_agent import trust  # noqa: PLC0415  # only under the limits

    if len(arguments) != 1 or arguments[0] not in trust.TAGS:
        raise isolation.Refusal("The kind of signed content is not known.")
    if len(request) < LENGTH.size:
        raise isolation.Refusal("The request is torn.")
    (length,) = LENGTH.unpack_from(request)
    signed, keys = request[LENGTH.size : LENGTH.size + length], request[LENGTH.size + length :]
    verdict = trust.verify(arguments[0], signed, keys)
    if isinstance(verdict, Refused):
        raise isolation.Refusal(verdict.reason)
    return verdict.payload


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
