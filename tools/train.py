"""`train` from a checkout; installed, it is `vertebra train`."""

import sys

from tasks.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
