"""One of the two processes of test_modes.py, started by ranks.py."""

import sys
from pathlib import Path

from test_modes import train_all_in_two

train_all_in_two(Path(sys.argv[1]))
