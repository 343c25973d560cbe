"""Compares mqfast with an echo server, redis and beanstalkd: ``python perf/compare.py --help``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from perf.comparison.cli import main

    sys.exit(main(sys.argv[1:]))
