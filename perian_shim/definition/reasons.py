"""Why some settings of Flyte's cannot be honoured, in the words of every error that says so."""

NO_RANGE = "a machine is rented for a request, and Perian has no limits: give one quantity"
NO_SHM = "Perian has no such setting"
NO_BACKOFF = "Flyte 1 tries again at once; give a number of retries"
NO_DEADLINE = (
    "it counts over all attempts, of which a pod is not told when the first was queued; bound an"
    " attempt with max_runtime and max_queued_time"
)
NOT_REUSABLE = "a job is one container that ends with its task; nothing is there to be reused"
