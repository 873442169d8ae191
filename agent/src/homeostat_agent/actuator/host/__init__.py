"""The actuator's door to the operating system: fresh facts, and typed changes."""
