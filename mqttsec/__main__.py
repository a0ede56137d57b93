"""`python -m mqttsec` is the command `mqttsec`."""

import sys

from mqttsec.cli import main

sys.exit(main())
