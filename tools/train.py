"""`vertebra train` from a checkout."""

import sys

from tasks.commands import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
