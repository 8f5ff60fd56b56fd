"""What the scripts in tools/ and the installed `vertebra` call: a file a command."""

import importlib
import sys

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "train": "train a model on your data, or on the built-in shapes",
    "evaluate": "metrics of a trained model",
    "predict": "draw what a trained model finds",
    "doctor": "find what is wrong with a data set",
    "convert": "write a data set in another format",
    "describe": "a backbone, stage by stage",
    "benchmark": "time ours against the peers on the same work",
    "study": "a small experiment about residual networks",
}


def main(argv: list[str] | None = None) -> int:
    """`vertebra COMMAND ...`; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    name = arguments[0] if arguments else "--help"
    if name in COMMANDS:
        return importlib.import_module(f"tasks.commands.{name}").main(arguments[1:])
    lines = "\n".join(f"  {command:<10}{text}" for command, text in COMMANDS.items())
    if name in ("-h", "--help"):
        print(f"usage: vertebra COMMAND ...\n\n{lines}\n\nvertebra COMMAND --help says more")
        return 0
    print(f"vertebra: there is no command {name!r} (commands: {', '.join(COMMANDS)})", file=sys.stderr)
    return 2
