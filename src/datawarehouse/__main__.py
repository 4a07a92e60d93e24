"""`python -m datawarehouse`: as `dw`."""

import sys

from datawarehouse.cli.main import main

sys.exit(main())
