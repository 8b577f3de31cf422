"""Function tasks at run time: their SDK's entry point runs in the job as it would in a pod.

The job leaves its literals, its deck and its error document below a prefix of its own; the pod
hands them on as they are. Its inputs lie where it can read but not write.
Literals are never decoded here, and an error document that the job wrote is reported byte for byte,
so kind, code and traceback are those of the user's own exception.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from perian_shim import settings
from perian_shim.api.job_request import ContainerFile, CreateJobRequest
from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.errors import OutputInvalid, OutputMissing, ResultMissing, StorageFailed
from perian_shim.job import AGENT_ASSETS, read_asset
from perian_shim.storage import join_uri
from perian_shim.storage.reach import Reach
from perian_shim.values.serialized import literal_map, serialize, split_literal_map
from perian_shim.work.entry_points import ERROR_NAME, OUTPUTS_NAME, EntryPoint, JobPaths
from perian_shim.work.error_document import function_failed
from perian_shim.work.function_reach import folder_uri, found_in, reach_text, read_reach
from perian_shim.work.grants import Access, AccessFor, check_life
from perian_shim.work.job_credentials import StorageAccess
from perian_shim.work.job_failure import job_failure
from perian_shim.work.outputs import Outputs
from perian_shim.work.staging import RECORD_FOLDER, WRAPPER_DIR, Staging, carried_secrets
from perian_shim.work.task_run import TaskRun

JOB_FOLDER = "function"
"""Below ``_perian`` in the raw data prefix: the job's own output prefix."""

INPUTS_NAME = "inputs.pb"
REACH_NAME = "reach.json"

MAX_DOCUMENT_BYTES = 1024**3
"""Bound on what is read of a job's documents; Flyte's own limits are far below."""

AGENT_COMMAND = ("python3", "-I", "-S", f"{WRAPPER_DIR}/agent.py")

SILENCE_REMEDY = (
    "Return from the function instead of leaving it with sys.exit(0), and use an image whose"
    " ENTRYPOINT runs the command it is given, or none."
)


@dataclass(frozen=True)
class FunctionJob:
    """The job of a function task.

    Attributes:
        run: the attempt.
        entry: the SDK's entry point.
        access: how the job reaches the object store.
        say: prints a line of ours.
        reaches: what each job may reach, by its prefix; None for one that holds other keys.
    """

    run: TaskRun
    entry: EntryPoint
    access: StorageAccess = field(repr=False)
    say: Callable[[str], None] = lambda _: None
    reaches: dict[str, Reach | None] = field(default_factory=dict, init=False, repr=False)

    def request(self, output: str) -> CreateJobRequest:
        """Write the inputs and return the request for a job that leaves its outputs there.

        Raises:
            StorageFailed: the inputs could not be written, or no access could be given.
            AccessTooShort: the access would end before the job.
        """
        inputs = {name: serialize(literal) for name, literal in self.run.inputs.items()}
        document = literal_map(inputs) + self.entry.context
        self.run.store.write(self.inputs_uri(output), document)
        staging = self.with_access(self.stage(output), output)
        return self.run.request(with_agent(staging, self.secret_files(output)), output)

    def stage(self, output: str) -> Staging:
        """Put together what the job is given, but for its access."""
        return Staging(
            command=tuple(self.entry.command(self.paths(output))),
            variables={**self.offloading(), **self.access.variables},
        )

    def with_access(self, staging: Staging, output: str) -> Staging:
        """Give a job temporary credentials for what it needs, or the keys that are given for it."""
        self.reaches[output] = None
        accepted = self.run.spec.config.allow_short_access
        check_life(self.access.life, self.run.access_seconds, accepted=accepted)
        if self.access.scopers:
            reach = self.reach(output)
            try:
                granted = self.run.with_grant(staging, output, self.access_for(reach))
            except StorageFailed as error:
                if error.passing or not self.access.fallback:
                    raise
                self.say(f"no temporary credentials could be had: {error.message}")
            else:
                self.run.store.write(self.reach_uri(output), reach_text(reach))
                self.reaches[output] = reach
                return granted
        self.say(self.access.warning)
        return replace(staging, secrets={**staging.secrets, **self.access.secrets})

    def secret_files(self, output: str) -> dict[str, str]:
        """Return the files that hold secrets: path and content."""
        own = {} if self.reaches[output] else self.access.files
        return {**self.run.private.secret_files, **own}

    def reach(self, output: str) -> Reach:
        """Return what the job may reach: its code, its inputs, its own prefix."""
        place, code = self.run.place, self.entry.code
        objects, read = found_in(self.run.inputs.values())
        objects += [self.inputs_uri(output), *([code] if code else [])]
        if place.previous_checkpoint:
            read.append(folder_uri(place.previous_checkpoint))
        write = [folder_uri(output)]
        if place.checkpoint and not place.checkpoint.startswith(write[0]):
            write.append(folder_uri(place.checkpoint))
        config = self.run.spec.config
        return Reach(
            tuple(dict.fromkeys(objects)),
            tuple(dict.fromkeys([*read, *config.reads])),
            tuple(dict.fromkeys([*write, *config.writes])),
        )

    def access_for(self, reach: Reach) -> AccessFor:
        """Return what gives a job temporary credentials."""

        def access(seconds: float) -> Access:
            given = [scoper(reach) for scoper in self.access.scopers]
            records = tuple(record for each in given for record in each.records)
            return Access(records, min([seconds, *(each.seconds for each in given)]))

        return access

    def keep(self, output: str) -> None:
        """Give a job access for longer, if it is time.

        Raises:
            StorageFailed: that failed; it is tried again.
        """
        if output not in self.reaches:  # an attempt before has submitted this job
            uri = self.reach_uri(output)  # the job is looked at meanwhile: no outage is ridden out
            content = self.run.at_once_of(uri).read(uri, MAX_DOCUMENT_BYTES)
            self.reaches[output] = read_reach(content)
        reach = self.reaches[output]
        if reach is not None and self.access.scopers:
            self.run.grants.keep(output, self.access_for(reach))

    def revoke(self, output: str) -> None:
        """Take its access from a job that has ended.

        Raises:
            StorageFailed: that failed.
        """
        # What an attempt before has submitted, and ended before it was looked at, may have one.
        if output not in self.reaches or self.reaches[output] is not None:
            self.run.grants.revoke(output)

    def inputs_uri(self, output: str) -> str:
        """Return where a job finds its inputs, which it cannot change."""
        return join_uri(self.run.given_folder(output), INPUTS_NAME)

    def reach_uri(self, output: str) -> str:
        """Return where it is kept what a job may reach, for the pods that follow it later."""
        return join_uri(self.run.given_folder(output), REACH_NAME)

    def paths(self, output: str) -> JobPaths:
        """Return where a job that leaves its outputs there finds and leaves things."""
        place = self.run.place
        return JobPaths(
            self.inputs_uri(output),
            documents_of(output),
            output,
            place.checkpoint,
            place.previous_checkpoint,
        )

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
        if not self.run.spec.deck:  # else the pod puts its own tab beside it, at the run's end
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

    def deck_uri(self, output: str) -> str:
        """Return where a job leaves the decks that its function makes."""
        return join_uri(documents_of(output), self.entry.deck_name)

    def hand_on_deck(self, folder: str) -> None:
        """Copy the job's deck to where Flyte looks for the task's."""
        prefix = self.run.place.output_prefix
        if prefix is None:
            return
        name = self.entry.deck_name
        deck = self.run.store.read(join_uri(folder, name), MAX_DOCUMENT_BYTES)
        if deck is not None:
            self.run.store.write(join_uri(prefix, name), deck)


def with_agent(staging: Staging, secret_files: Mapping[str, str]) -> Staging:
    """Return a staging whose command is run by the agent, if there is something for it to do.

    Args:
        staging: as it is so far.
        secret_files: secrets that are to be files: path and content.
    """
    variables, places = carried_secrets(secret_files)
    if not places and settings.JOB_GRANT not in staging.secrets:
        return staging
    shown = {settings.JOB_FILES: json.dumps(places)} if places else {}
    files = [
        ContainerFile(f"{WRAPPER_DIR}/{name}", read_asset(name), read_only=True)
        for name in AGENT_ASSETS
    ]
    return replace(
        staging,
        command=(*AGENT_COMMAND, *staging.command),
        files=(*staging.files, *files),
        variables={**staging.variables, **shown},
        secrets={**staging.secrets, **variables},
    )


def documents_of(output: str) -> str:
    """Return the URI below which a job that leaves its outputs there has its documents."""
    return join_uri(output, RECORD_FOLDER, JOB_FOLDER)
