"""Every way a run can end badly: one tree, each leaf with a stable code and a Flyte outcome.

::

    PerianError                      anything that goes wrong in perian-shim
    ├── ApiError ...                 one call of the REST API (perian_shim.api.errors)
    ├── ConfigError                  PerianConfig or a setting is wrong; raised where it is written
    ├── DefinitionError              a task is declared in a way that cannot work
    └── TaskError                    a run ended; carries the job's id and its last log lines
        ├── InvalidTemplate          the TaskTemplate is not one of ours, or is damaged
        │   └── TemplateTooNew       it was made by a newer perian-shim than the executor's
        ├── MissingSecret            a Flyte secret that is needed is not there
        ├── InvalidInput             an input cannot be handed to a job
        │   └── AccessTooShort       ... for the job's access to its data would end before it
        ├── InvalidCommand           the command cannot be rendered with these inputs
        ├── StorageFailed            our own access to the object store failed
        ├── JobRejected              Perian refused the request
        ├── AgainstPolicy            the task breaks a rule of the platform's
        ├── TooManyJobs              a limit of jobs at once was not free for ``max_wait_seconds``
        ├── ApiUnavailable           Perian gave no good answer for too long
        │   └── SubmissionUnclear    ... to the submission itself: a job may exist
        ├── JobFailed                the container failed: exit code or an ``_ERROR`` file
        │   ├── JobKilled            ... with exit code 137
        │   └── FunctionFailed       the function raised; carries its own error document
        ├── TransferFailed           the job could not fetch its inputs or leave its outputs
        │   └── JobUnsuitable        ... because image or directories do not allow it
        ├── OutputMissing            a declared output was not produced
        ├── OutputInvalid            an output file does not hold what the task declares
        │   └── OutputTooLarge       ... because Flyte takes no value of that size
        ├── ResultMissing            the job ended well but left no result: silence is no success
        ├── JobTimedOut              ``timeout_seconds`` passed
        ├── QueuedTooLong            ``max_queued_time`` passed, the job was cancelled
        ├── JobCancelled             somebody else cancelled the job
        ├── JobVanished              Perian no longer knows the job
        ├── WrongMachine             Perian rented another machine than the task allows
        ├── Terminating              a signal ended this run
        ├── Superseded               a later attempt has the job
        ├── InternalError            a fault of perian-shim's own
        ├── PlatformFailed           Perian failed to run the job
        ├── ImageUnavailable         ... because the image cannot be pulled
        ├── CreditExhausted          ... because the organization cannot pay
        └── StatusUnknown            the API kept naming a status that nobody knows

An ``Outcome`` is what Flyte makes of an error: USER errors are never retried, or on the task's
``retries``; SYSTEM errors on the platform's own budget, or never. A user's failing program must not
be paid for again on that budget, so only faults that are not the user's are SYSTEM.
"""

import traceback
from dataclasses import dataclass
from typing import ClassVar

from perian_shim.api.errors import PerianError


@dataclass(frozen=True)
class Outcome:
    """What an error means to Flyte.

    Attributes:
        origin: ``"USER"`` or ``"SYSTEM"``: whose fault, and so whose retry budget.
        recoverable: whether another attempt may help.
    """

    origin: str
    recoverable: bool


USER_FATAL = Outcome("USER", recoverable=False)
USER_RETRY = Outcome("USER", recoverable=True)
SYSTEM_FATAL = Outcome("SYSTEM", recoverable=False)
SYSTEM_RETRY = Outcome("SYSTEM", recoverable=True)


class ConfigError(PerianError, ValueError):
    """A ``PerianConfig`` field or an environment setting has a wrong value."""

    code = "PERIAN:Config"
    remedy = "Correct the value."


class DefinitionError(PerianError, ValueError):
    """A task is declared in a way that cannot work; raised while the workflow file is loaded."""

    code = "PERIAN:Definition"
    remedy = "Correct the task's definition."


class TaskError(PerianError):
    """A run ended badly.

    Args:
        message: what happened, and to what.
        job_id: Perian's id of the job, once there is one.
        log_tail: the job's last lines.
        remedy: what to do next; the class has a default.
    """

    code = "PERIAN:Task"
    outcome: ClassVar[Outcome] = SYSTEM_RETRY
    """Also of each class below that says nothing else."""
    spends_job: ClassVar[bool] = False
    """Whether it is how the job ended: the next attempt then needs another job."""

    def __init__(
        self,
        message: str,
        *,
        job_id: str | None = None,
        log_tail: str = "",
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.job_id = job_id
        self.log_tail = log_tail


class InvalidTemplate(TaskError):
    """The TaskTemplate's ``custom`` is not what perian-shim writes."""

    code = "PERIAN:InvalidTemplate"
    outcome = USER_FATAL
    remedy = "Register the task again."


class TemplateTooNew(InvalidTemplate):
    """The TaskTemplate was written by a newer version."""

    code = "PERIAN:TemplateTooNew"
    remedy = "Use an executor image (executor_image= or PERIAN_SHIM_IMAGE) that is not older."


class MissingSecret(TaskError):
    """A Flyte secret that is needed is not there."""

    code = "PERIAN:MissingSecret"
    outcome = USER_FATAL
    remedy = "Create the secret in the project's namespace."


class InvalidInput(TaskError):
    """An input cannot be handed to a job."""

    code = "PERIAN:InvalidInput"
    outcome = USER_FATAL
    remedy = "Pass another value."


class InvalidCommand(TaskError):
    """The command cannot be rendered with these inputs."""

    code = "PERIAN:InvalidCommand"
    outcome = USER_FATAL
    remedy = "Correct the command's templates or the inputs."


class AccessTooShort(InvalidInput):
    """What the job is given to reach its data would end before the job."""

    code = "PERIAN:AccessTooShort"
    remedy = "Give the pod credentials that are renewed, or set allow_short_access=True."


class StorageFailed(TaskError):
    """The task's pod could not read from or write to the object store."""

    code = "PERIAN:StorageFailed"
    remedy = "Check the permissions of the task's pod for the raw data prefix."
    passing: bool = False
    """Whether the same access may succeed later: the store was not reached, or faltered."""


class JobRejected(TaskError):
    """Perian refused the request: another attempt would be refused as well."""

    code = "PERIAN:JobRejected"
    outcome = USER_FATAL
    remedy = "Correct what Perian names."


class AgainstPolicy(TaskError):
    """The task asks for what a rule of the platform's does not allow; nothing was rented."""

    code = "PERIAN:AgainstPolicy"
    outcome = USER_FATAL
    remedy = "Ask for what the rules allow, or ask who runs the platform to change PERIAN_POLICY."


class TooManyJobs(TaskError):
    """The platform's limit of jobs at once was not free for too long; nothing was submitted."""

    code = "PERIAN:TooManyJobs"
    outcome = USER_RETRY
    remedy = "Try again later, or ask who runs the platform to change PERIAN_POLICY."


class ApiUnavailable(TaskError):
    """Perian gave no good answer for too long."""

    code = "PERIAN:ApiUnavailable"
    remedy = "Check PERIAN_API_URL and the way there (proxy, egress rules), or Perian's state."


class SubmissionUnclear(ApiUnavailable):
    """The answer to a submission was lost: a job may or may not exist. The next attempt looks."""

    code = "PERIAN:SubmissionUnclear"
    remedy = "Flyte tries again by itself and looks for the job first."


class JobFailed(TaskError):
    """The container failed. Flyte treats a raw container's failure the same: user, retries."""

    code = "PERIAN:JobFailed"
    outcome = USER_RETRY
    spends_job = True
    remedy = "Read the log lines; more retries= runs it again."


class JobKilled(JobFailed):
    """The container was killed: exit code 137, most often for want of memory."""

    code = "PERIAN:JobKilled"
    remedy = "Most often the machine's memory was too small: ask for more with memory=."


class FunctionFailed(JobFailed):
    """The function raised. What is reported is the document that flytekit wrote in the job.

    Args:
        message: the document's own message.
        document: the serialized ``ErrorDocument``.
        job_id: Perian's id of the job.
    """

    code = "PERIAN:FunctionFailed"
    remedy = "Read the traceback."

    def __init__(self, message: str, *, document: bytes, job_id: str | None = None) -> None:
        super().__init__(message, job_id=job_id)
        self.document = document


class TransferFailed(TaskError):
    """The job could not fetch its inputs or leave its outputs."""

    code = "PERIAN:TransferFailed"
    outcome = USER_RETRY
    spends_job = True
    remedy = "Read the [perian-shim] lines of the log."


class JobUnsuitable(TransferFailed):
    """The job cannot run with its image or directories; another attempt would end the same."""

    code = "PERIAN:JobUnsuitable"
    outcome = USER_FATAL
    remedy = "Correct what the message names in the task's definition or its image."


class OutputMissing(TaskError):
    """A declared output was not produced."""

    code = "PERIAN:OutputMissing"
    outcome = USER_RETRY
    spends_job = True
    remedy = "Let the program write the file, or declare the output Optional."


class OutputInvalid(TaskError):
    """An output file does not hold what the task declares."""

    code = "PERIAN:OutputInvalid"
    outcome = USER_RETRY
    spends_job = True
    remedy = "Let the program write the declared type, or declare what it writes."


class OutputTooLarge(OutputInvalid):
    """Flyte's backend takes no outputs of that size; another attempt would end the same."""

    code = "PERIAN:OutputTooLarge"
    outcome = USER_FATAL
    remedy = "Declare a file for large data (FlyteFile, flyte.io.File): it goes to the store."


class ResultMissing(TaskError):
    """The job ended well but left no result: something swallowed the wrapper."""

    code = "PERIAN:ResultMissing"
    outcome = USER_FATAL
    spends_job = True
    remedy = "Use an image whose ENTRYPOINT runs the command it is given (/bin/sh …), or has none."


class JobTimedOut(TaskError):
    """``timeout_seconds`` passed."""

    code = "PERIAN:Timeout"
    outcome = USER_RETRY
    spends_job = True
    remedy = "Raise the task's timeout=, or ask for a bigger machine."


class QueuedTooLong(TaskError):
    """``max_queued_time`` passed before the job started; it was cancelled."""

    code = "PERIAN:QueuedTooLong"
    outcome = USER_RETRY
    spends_job = True
    remedy = "Raise max_queued_time, or ask for less, elsewhere or at a higher price."


class JobCancelled(TaskError):
    """Somebody else cancelled the job."""

    code = "PERIAN:Cancelled"
    outcome = USER_FATAL
    spends_job = True
    remedy = "Launch the execution again if that was a mistake."


class JobVanished(TaskError):
    """Perian has not known the job for too long. It may be there all the same."""

    code = "PERIAN:JobVanished"
    remedy = "Flyte tries again by itself; ask Perian with the job's id what became of it."


class WrongMachine(TaskError):
    """The machine costs more than allowed, or is another or elsewhere; the job was cancelled."""

    code = "PERIAN:WrongMachine"
    outcome = SYSTEM_FATAL
    spends_job = True
    remedy = "Ask Perian with the job's id, or allow such a machine in PerianConfig."


class Terminating(TaskError):
    """A signal ended this run: an abort, a timeout of Flyte's, or the loss of the node."""

    code = "PERIAN:Terminated"
    remedy = "Nothing, if you aborted it; otherwise Flyte tries again by itself."


class Superseded(TaskError):
    """A later attempt of the same node has the job. Flyte no longer waits for this one."""

    code = "PERIAN:Superseded"
    remedy = "Nothing: look at the later attempt."


class InternalError(TaskError):
    """A fault of perian-shim's own. Not tried again once a job exists: that would double it."""

    code = "PERIAN:Internal"
    outcome = SYSTEM_FATAL
    remedy = "Report it as a bug of perian-shim, with the traceback."

    @classmethod
    def of(cls, error: Exception, job_id: str | None = None) -> "InternalError":
        """Return what is told of an error that nobody has foreseen."""
        lines = "".join(traceback.format_exception(error)[-6:])
        message = f"perian-shim itself failed: {type(error).__name__}: {error}\n{lines}"
        return cls(message, job_id=job_id)


class PlatformFailed(TaskError):
    """Perian failed to run the job."""

    code = "PERIAN:ServerError"
    spends_job = True
    remedy = "Flyte tries again by itself; if it keeps failing, ask Perian with the job's id."


class ImageUnavailable(TaskError):
    """Perian could not pull the job's image; another attempt would end the same."""

    code = "PERIAN:ImageUnavailable"
    outcome = USER_FATAL
    spends_job = True
    remedy = "Check its name; a private registry needs its secrets, docker_registry_url and so on."


class CreditExhausted(TaskError):
    """The organization's credit or quota did not suffice to run the job."""

    code = "PERIAN:CreditExhausted"
    outcome = USER_FATAL
    spends_job = True
    remedy = "Top up the organization's credit at Perian, or ask for a higher quota."


class StatusUnknown(TaskError):
    """The API kept naming a status that nobody knows."""

    code = "PERIAN:StatusUnknown"
    remedy = "Look at the job in Perian's console; a newer perian-shim may know the status."
