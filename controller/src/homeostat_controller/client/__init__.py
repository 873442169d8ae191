"""A client of the controller's REST API: which controller is meant, how it is called, and how a call goes wrong."""
