"""What is said of a store that signs nothing."""

from perian_shim.errors import InvalidInput


def unsigned(uri: str) -> InvalidInput:
    """Return the error for a store that cannot sign."""
    message = f"A container task's job cannot be given access to {uri!r}: only s3:// can be signed."
    return InvalidInput(message, remedy="Use a raw data prefix on S3, or a function task.")
