"""`doctor` from a checkout; installed, it is `vertebra doctor`."""

import sys

from tasks.commands.doctor import main

if __name__ == "__main__":
    sys.exit(main())
