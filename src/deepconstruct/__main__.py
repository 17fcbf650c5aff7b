"""`python -m deepconstruct` is the command `deepconstruct`."""

import sys

from ._cli import main

sys.exit(main())
