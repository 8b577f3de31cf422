"""``completion``: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class


@click.command(
    epilog="""\b
Examples:
  source <(perian-shim completion bash)          now; or a line of ~/.bashrc
  source <(perian-shim completion zsh)           the same for ~/.zshrc
  perian-shim completion fish > ~/.config/fish/completions/perian-shim.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script with which a shell completes commands and options."""
    from perian_shim.cli.app import PROGRAM, program  # noqa: PLC0415 - it imports this module

    kind = get_completion_class(shell)
    assert kind is not None
    print(kind(program, {}, PROGRAM, f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE").source())
    return 0
