"""`predict` from a checkout; installed, it is `vertebra predict`."""

import sys

from tasks.commands.predict import main

if __name__ == "__main__":
    sys.exit(main())
