"""`python -m mmagent` is the `mmagent` command."""

from mmagent.cli import main

if __name__ == "__main__":
    main()
