"""`vertebra study` from a checkout."""

import sys

from tasks.commands import main

if __name__ == "__main__":
    sys.exit(main(["study", *sys.argv[1:]]))
