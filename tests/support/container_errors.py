"""Short names of what ``error.pb`` says of an error."""

from flyteidl.core import errors_pb2, execution_pb2

FATAL = errors_pb2.ContainerError.NON_RECOVERABLE
AGAIN = errors_pb2.ContainerError.RECOVERABLE
USER = execution_pb2.ExecutionError.USER
SYSTEM = execution_pb2.ExecutionError.SYSTEM
