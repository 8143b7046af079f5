"""`python -m chmed_ner`."""

import sys

from chmed_ner.cli import main

sys.exit(main())
