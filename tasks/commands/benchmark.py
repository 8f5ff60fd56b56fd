"""`benchmark`: ours against the peers on the same work, in turn, in one run."""

import sys

from rich.console import Console

from tasks.commands.cli import guard, parse
from tasks.commands.timings.arguments import BenchmarkArguments


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    description = "Time ours against a peer's on the same work."
    return guard(
        lambda console: _benchmark(
            parse(BenchmarkArguments, arguments, command="benchmark", description=description), console
        )
    )


def _benchmark(arguments: BenchmarkArguments, console: Console) -> int:
    # Late: each imports what it compares with.
    if arguments.what == "index":
        from tasks.commands.timings.index import time_index

        return time_index(arguments, console)
    if arguments.what == "evaluation":
        from tasks.commands.timings.evaluation import time_evaluation

        return time_evaluation(arguments, console)
    from tasks.commands.timings.steps import time_steps

    return time_steps(arguments, console)
