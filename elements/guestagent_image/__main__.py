"""``python -m guestagent_image``: the command by another name, for the elements."""

import sys

from guestagent_image.cli import main

sys.exit(main())
