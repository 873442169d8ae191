"""The actuator: the only program that changes the endpoint. No network; it verifies everything on its own copy."""

# As in pyproject.toml; asking the installed package for it would load a mail parser.
VERSION = "0.1.0"
