"""The REST API: one contract for the console, the command line and integrators.

Kept free of imports: the command line reads `filter_language` from here without loading a server.
"""
