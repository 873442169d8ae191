"""The actuator: the only program that changes the endpoint. No network; it verifies everything on its own copy."""
