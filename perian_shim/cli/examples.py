"""Examples at the end of a command's help."""


def examples(*lines: str) -> str:
    """Return the end of a command's help, from what follows the program's name."""
    return "\b\nExamples:\n" + "\n".join(f"  perian-shim {line}" for line in lines)
