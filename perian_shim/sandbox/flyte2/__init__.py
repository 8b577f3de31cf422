"""A stand-in for Flyte 2: what its backend does with a pod, and runs of a user's file."""

import perian_shim.flyte2  # noqa: F401 - says what to install where the SDK is missing
