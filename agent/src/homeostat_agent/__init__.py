"""The endpoint half of Homeostat: one program that decides and one that acts."""

# As in pyproject.toml; asking the installed package for it would load a mail parser.
VERSION = "0.1.0"
