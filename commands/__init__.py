"""What the three programs share: composing a config, the run folder, messages."""

from .command import command, explain, is_main_process, run_folder
from .resolvers import register_resolvers

__all__ = ["command", "explain", "is_main_process", "register_resolvers", "run_folder"]
