"""`vertebra evaluate` from a checkout."""

import sys

from tasks.commands import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
