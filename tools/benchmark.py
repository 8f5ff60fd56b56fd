"""`benchmark` from a checkout; installed, it is `vertebra benchmark`."""

import sys

from tasks.commands.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
