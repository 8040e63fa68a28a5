"""`python -m geocc` is the `geocc` command."""

from __future__ import annotations

from geocc.cli import main

if __name__ == "__main__":
    main()
