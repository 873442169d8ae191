"""Plans and their steps ⇄ messages, and the digest by which a grant names a plan."""

from hashlib import sha256

from homeostat.plan import EndProcess, Plan, RemoveFile, RestartService, RestoreFile, StartService, Step, StopService
from homeostat.wire import values
from homeostat.wire.v1 import incident_pb2

_PLAN_TAG = b"homeostat-plan-v1\0"


def digest(plan: Plan) -> bytes:
    """Return the SHA-256 that stands for what a plan does and undoes, whatever it says about it."""
    steps = incident_pb2.Plan(
        forward=[step_to_wire(step) for step in plan.forward], backward=[step_to_wire(step) for step in plan.backward]
    )
    return sha256(_PLAN_TAG + steps.SerializeToString(deterministic=True)).digest()


def plan_to_wire(plan: Plan) -> incident_pb2.Plan:
    """Return the message; ValueError for a number that does not fit."""
    return incident_pb2.Plan(
        forward=[step_to_wire(step) for step in plan.forward],
        backward=[step_to_wire(step) for step in plan.backward],
        state_digest=plan.state_digest,
        expected_effect=plan.expected_effect,
        findings=plan.findings,
    )


def plan_from_wire(message: incident_pb2.Plan) -> Plan:
    """Return the plan; WireError if the message is none."""
    return Plan(
        forward=tuple(step_from_wire(step) for step in message.forward),
        backward=tuple(step_from_wire(step) for step in message.backward),
        state_digest=message.state_digest,
        expected_effect=message.expected_effect,
        findings=tuple(message.findings),
    )


def step_to_wire(step: Step) -> incident_pb2.Step:  # one arm per kind of step
    """Return the message; ValueError for a number that does not fit."""
    match step:
        case StartService(service):
            return incident_pb2.Step(start_service=incident_pb2.StartService(service=service))
        case StopService(service):
            return incident_pb2.Step(stop_service=incident_pb2.StopService(service=service))
        case RestartService(service):
            return incident_pb2.Step(restart_service=incident_pb2.RestartService(service=service))
        case EndProcess(pid, started, grace_s):
            ended = incident_pb2.EndProcess(pid=pid, started=started, grace_s=grace_s)
            return incident_pb2.Step(end_process=ended)
        case RemoveFile():
            return incident_pb2.Step(remove_file=_remove_file_to_wire(step))
        case RestoreFile(folder, path):  # pragma: no branch  # the type checker holds the union closed
            return incident_pb2.Step(restore_file=incident_pb2.RestoreFile(folder=folder, path=path))


def step_from_wire(message: incident_pb2.Step) -> Step:
    """Return the step; WireError for an unknown kind or a missing value."""
    match message.WhichOneof("step"):
        case "start_service":
            return StartService(values.text(message.start_service.service, "start_service.service"))
        case "stop_service":
            return StopService(values.text(message.stop_service.service, "stop_service.service"))
        case "restart_service":
            return RestartService(values.text(message.restart_service.service, "restart_service.service"))
        case "end_process":
            return _end_process_from_wire(message.end_process)
        case "remove_file":
            return _remove_file_from_wire(message.remove_file)
        case "restore_file":
            folder = values.text(message.restore_file.folder, "restore_file.folder")
            return RestoreFile(folder, values.text(message.restore_file.path, "restore_file.path"))
        case _:
            raise values.WireError("step: its kind is not known here")


def _remove_file_to_wire(step: RemoveFile) -> incident_pb2.RemoveFile:
    return incident_pb2.RemoveFile(
        folder=step.folder,
        path=step.path,
        size_bytes=step.size_bytes,
        modified_ns=step.modified_ns,
        keep=step.keep,
    )


def _remove_file_from_wire(message: incident_pb2.RemoveFile) -> RemoveFile:
    return RemoveFile(
        folder=values.text(message.folder, "remove_file.folder"),
        path=values.text(message.path, "remove_file.path"),
        size_bytes=message.size_bytes,
        modified_ns=message.modified_ns,
        keep=message.keep,
    )


def _end_process_from_wire(message: incident_pb2.EndProcess) -> EndProcess:
    grace_s = values.finite(message.grace_s, "end_process.grace_s")
    # Process 0 is a whole group to some system calls, and process 1 is the system itself.
    if message.pid <= 1 or grace_s < 0.0:
        raise values.WireError("end_process: names no process that may be ended")
    return EndProcess(message.pid, message.started, grace_s)
