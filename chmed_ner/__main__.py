"""`python -m chmed_ner`."""

import sys

try:
    from chmed_ner.cli import main
except KeyboardInterrupt:
    sys.exit(130)

sys.exit(main())
