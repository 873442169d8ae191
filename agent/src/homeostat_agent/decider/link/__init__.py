"""How the decider talks to the controller."""

import os

# gRPC's core writes every failed handshake to standard error by itself; what matters is logged here, once, in a
# sentence. It reads this when it is loaded, so it stands before any module of this package.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
