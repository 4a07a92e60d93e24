"""`python -m datawarehouse`: as `dw`."""

import sys

from datawarehouse.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
