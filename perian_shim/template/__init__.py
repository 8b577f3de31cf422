"""Command templating: see ``perian_shim.template.commands``."""

from perian_shim.template.commands import check_command, render_command
from perian_shim.template.errors import TemplateError

__all__ = ["TemplateError", "check_command", "render_command"]
