"""Function tasks at run time: flytekit's entry point runs in the job as it would in a pod.

The job gets its inputs, and leaves its literals, its deck and its error document, below the
attempt's own raw data prefix; the resolver container hands them on as they are. Literals are never
decoded here, and an error document that the job wrote is reported byte for byte, so kind, code and
traceback are those of the user's own exception.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perian_shim import settings
from perian_shim.api.job_request import ContainerFile, CreateJobRequest
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import OutputInvalid, OutputMissing, ResultMissing
from perian_shim.resolver_options import Distribution
from perian_shim.spec import FunctionWork
from perian_shim.storage import join_uri
from perian_shim.values.serialized import literal_map, serialize, split_literal_map
from perian_shim.work.error_document import function_failed
from perian_shim.work.job_credentials import StorageAccess
from perian_shim.work.job_failure import job_failure
from perian_shim.work.outputs import Outputs
from perian_shim.work.staging import RECORD_FOLDER, Staging
from perian_shim.work.task_run import TaskRun

JOB_FOLDER = "function"
"""Below ``_perian`` in the raw data prefix: the job's own output prefix."""

INPUTS_NAME = "inputs.pb"
OUTPUTS_NAME = "outputs.pb"
ERROR_NAME = "error.pb"
DECK_NAME = "deck.html"

MAX_DOCUMENT_BYTES = 1024**3
"""Bound on what is read of a job's documents; Flyte's own limits are far below."""


SILENCE_REMEDY = (
    "Return from the function instead of leaving it with sys.exit(0), and use an image whose"
    " ENTRYPOINT runs the command it is given, or none."
)


@dataclass(frozen=True)
class FunctionJob:
    """The job of a function task.

    Attributes:
        run: the attempt.
        work: what its task does.
        access: how the job reaches the object store.
        distribution: the user's code, None when the image has it.
    """

    run: TaskRun
    work: FunctionWork
    access: StorageAccess = field(repr=False)
    distribution: Distribution | None = None

    def request(self, output: str) -> CreateJobRequest:
        """Write the inputs and return the request for a job that leaves its outputs there.

        Raises:
            StorageFailed: the inputs could not be written.
        """
        return self.run.request(self.stage(output), output)

    def stage(self, output: str) -> Staging:
        """Write the inputs and put together what the job is given."""
        folder = documents_of(output)
        inputs = {name: serialize(literal) for name, literal in self.run.inputs.items()}
        self.run.store.write(join_uri(folder, INPUTS_NAME), literal_map(inputs))
        return Staging(
            command=tuple(self.command(folder)),
            files=tuple(
                ContainerFile(path, content, read_only=True)
                for path, content in self.access.files.items()
            ),
            variables={**self.offloading(), **self.access.variables},
            secrets=self.access.secrets,
        )

    def command(self, folder: str) -> list[str]:
        """Return flytekit's entry point with the paths that are this attempt's.

        Args:
            folder: URI below which the job finds its inputs and leaves its documents.
        """
        place = self.run.place
        command = ["pyflyte-execute"]
        command += ["--inputs", join_uri(folder, INPUTS_NAME)]
        command += ["--output-prefix", folder]
        command += ["--raw-output-data-prefix", place.raw_prefix]
        if place.checkpoint:
            command += ["--checkpoint-path", place.checkpoint]
        if place.previous_checkpoint:
            command += ["--prev-checkpoint", place.previous_checkpoint]
        command += ["--resolver", self.work.resolver, "--", *self.work.loader_args]
        if self.distribution is None:
            return command
        fast = ["pyflyte-fast-execute"]
        fast += ["--additional-distribution", self.distribution.location]
        fast += ["--dest-dir", self.distribution.destination]
        return [*fast, "--", *command]

    def offloading(self) -> dict[str, str]:
        """Return Flyte's settings for large literals: the job then stores them itself."""
        return {
            name: self.run.place.environ[name]
            for name in settings.OFFLOADING
            if name in self.run.place.environ
        }

    def harvest(self, job: Job, output: str) -> Outputs:
        """Return the outputs as the job left them.

        Raises:
            FunctionFailed: the function raised; the error carries its document.
            JobFailed: the process died without a word.
            ResultMissing: the job ended well, but left neither outputs nor an error.
            OutputMissing: the outputs are not those that the task declares.
            OutputInvalid: the job's document of outputs is damaged.
            OutputTooLarge: Flyte would not take the outputs.
        """
        folder = documents_of(output)
        self.hand_on_deck(folder)
        document = self.run.store.read(join_uri(folder, ERROR_NAME), MAX_DOCUMENT_BYTES)
        if document is not None:
            raise function_failed(document, job.id)
        if job.phase is Phase.FAILED:
            raise job_failure(job.id, job.errors)
        content = self.run.store.read(join_uri(folder, OUTPUTS_NAME), MAX_DOCUMENT_BYTES)
        if content is None:
            message = f"Job {job.id} is Done, but left neither outputs nor an error."
            raise ResultMissing(message, job_id=job.id, remedy=SILENCE_REMEDY)
        try:
            outputs = split_literal_map(content)
        except ValueError as error:
            message = f"Job {job.id} left outputs that cannot be read: {error}."
            raise OutputInvalid(message, job_id=job.id) from error
        self.check(outputs, job.id)
        self.run.check_sizes(outputs, job.id)
        return outputs

    def check(self, produced: Mapping[str, object], job_id: str) -> None:
        """Compare the outputs' names with those that the task declares."""
        declared: Sequence[str] = list(self.run.task.outputs)
        if set(produced) != set(declared):
            message = (
                f"Job {job_id} returned outputs {sorted(produced)}, the task declares"
                f" {sorted(declared)}."
            )
            remedy = "Register the task again, or use an image with the registered code."
            raise OutputMissing(message, job_id=job_id, remedy=remedy)

    def hand_on_deck(self, folder: str) -> None:
        """Copy the job's deck to where Flyte looks for the task's."""
        prefix = self.run.place.output_prefix
        if prefix is None:
            return
        deck = self.run.store.read(join_uri(folder, DECK_NAME), MAX_DOCUMENT_BYTES)
        if deck is not None:
            self.run.store.write(join_uri(prefix, DECK_NAME), deck)


def documents_of(output: str) -> str:
    """Return the URI below which a job that leaves its outputs there has its documents."""
    return join_uri(output, RECORD_FOLDER, JOB_FOLDER)
