"""`python -m autometa`: the command line without its script on the path."""

from autometa.cli import main

if __name__ == "__main__":
    main()
