"""`evaluate` from a checkout; installed, it is `vertebra evaluate`."""

import sys

from tasks.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
