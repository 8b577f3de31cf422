"""Container tasks at run time: render the command, stage its files, read what it left."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from perian_shim.api.job_request import CreateJobRequest
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import InvalidCommand, ResultMissing
from perian_shim.spec import ContainerWork
from perian_shim.template import TemplateError, render_command
from perian_shim.work.container_access import container_access
from perian_shim.work.grants import Access, AccessFor
from perian_shim.work.job_failure import job_failure, unrecorded_failure
from perian_shim.work.outputs import Harvest, Outputs
from perian_shim.work.staging import Stager, Staging, is_wrapped
from perian_shim.work.task_run import StoreOf, TaskRun

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Longest single argument that Linux takes, without the NUL at its end."""


@dataclass(frozen=True)
class ContainerJob:
    """The job of a container task.

    Attributes:
        run: the attempt.
        work: what its task does.
        staged: what was put together for each job, by its prefix.
    """

    run: TaskRun
    work: ContainerWork
    staged: dict[str, Staging] = field(default_factory=dict, init=False, repr=False)

    def request(self, output: str) -> CreateJobRequest:
        """Render the command and return the request for a job that leaves its outputs there.

        Raises:
            InvalidCommand: the command cannot be rendered with these inputs, or not be started.
            InvalidInput: an input cannot be handed to a job.
        """
        staging = self.stage(output, self.run.store_of)
        if staging.needs_access:
            access_for = self.access_for(staging, output, self.run.store_of)
            staging = self.run.with_grant(staging, output, access_for)
        return self.run.request(staging, output)

    def access_for(self, staging: Staging, output: str, store_of: StoreOf) -> AccessFor:
        """Return what gives a job access to what it fetches, and leave to create objects."""
        gets, leaves = staging.gets, staging.leaves

        def access(seconds: float) -> Access:
            return container_access(store_of, gets, output if leaves else None, seconds)

        return access

    def keep(self, output: str) -> None:
        """Give a job access for longer, if it is time.

        Raises:
            StorageFailed: that failed; it is tried again.
        """
        staging = self.staged.get(output)
        if staging is None:  # an attempt before has submitted this job
            staging = self.stage(output, self.run.at_once_of)
        if staging.needs_access:
            access_for = self.access_for(staging, output, self.run.at_once_of)
            self.run.grants.keep(output, access_for)

    def revoke(self, output: str) -> None:
        """Take its access from a job that has ended.

        Raises:
            StorageFailed: that failed.
        """
        if output not in self.staged or self.staged[output].needs_access:
            self.run.grants.revoke(output)

    def stage(self, output: str, store_of: StoreOf) -> Staging:
        """Render the command and put together what the job is given."""
        place = self.run.place
        try:
            argv = render_command(
                self.work.command,
                self.run.inputs,
                raw_output_data_prefix=place.raw_prefix,
                per_retry_unique_key=place.per_retry_unique_key,
            )
        except TemplateError as error:
            message = f"The command cannot be rendered: {error}"
            raise InvalidCommand(message) from error
        check_lengths(argv)
        stager = Stager(
            self.work,
            store_of,
            self.run.given_folder(output),
            self.run.private.secret_files,
        )
        staging = self.staged[output] = stager.stage(argv, self.run.inputs, self.run.task)
        return staging

    def harvest(self, job: Job, output: str) -> Outputs:
        """Return the outputs.

        Raises:
            JobFailed: the program failed.
            TransferFailed: its data could not be transferred, or it could not be started.
            ResultMissing: the job ended well, but something swallowed the wrapper.
            OutputMissing: an output was not produced.
            OutputInvalid: an output does not hold what the task declares.
            OutputTooLarge: Flyte would not take the outputs.
        """
        left = Harvest(self.run.store, output, self.work.output_data_dir, job.id)
        # The job may be an earlier attempt's: what it ran says whether it left a record. With
        # outputs it must have, whatever the API shows of its command.
        declared = bool(self.run.task.outputs)
        wrapped = declared or is_wrapped(job.command or "")
        result = left.result() if wrapped else None
        if result is not None:
            left.check(result)
        if job.phase is Phase.FAILED:
            if wrapped and result is None:
                error = unrecorded_failure(job.id, job.errors, job.logs)
                if error is not None:
                    raise error
            raise job_failure(job.id, job.errors)
        if not wrapped:
            return {}
        if result is None:
            message = f"Job {job.id} is Done, but left no result below {output}."
            raise ResultMissing(message, job_id=job.id)
        left.join(result)
        outputs = left.collect(result, self.run.task.outputs)
        self.run.check_sizes(outputs, job.id)
        return outputs


def check_lengths(argv: Sequence[str]) -> None:
    """Expect arguments that Linux can hand to a program.

    Raises:
        InvalidCommand: one is too long; its text is not shown.
    """
    for position, argument in enumerate(argv, 1):
        length = len(argument.encode())
        if length > MAX_ARGUMENT_BYTES:
            message = (
                f"Element {position} of the command has {length} bytes once it is rendered; Linux"
                f" takes at most {MAX_ARGUMENT_BYTES} in one argument."
            )
            remedy = "Let the program read the value from its file in the input directory."
            raise InvalidCommand(message, remedy=remedy)
