"""The decider: unprivileged. It senses, scores, diagnoses, decides and reports; it changes nothing on the endpoint."""
