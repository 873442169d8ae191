"""Say whether a service's configuration file is valid, as `nginx -t` does for nginx: exit 0 or 1 with a sentence."""

import json
import sys
from pathlib import Path


def main() -> int:
    """Check the JSON file named as the only argument."""
    path = Path(sys.argv[1])
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"{path.name}: {error}")  # noqa: T201  # the agent shows this line as evidence
        return 1
    if not isinstance(document, dict) or "greeting" not in document:
        print(f"{path.name}: lacks 'greeting'")  # noqa: T201  # the agent shows this line as evidence
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
