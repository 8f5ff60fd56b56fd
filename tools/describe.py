"""`describe` from a checkout; installed, it is `vertebra describe`."""

import sys

from tasks.commands.describe import main

if __name__ == "__main__":
    sys.exit(main())
