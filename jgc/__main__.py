"""`python -m jgc`: the command line where the `jgc` script is not on the path."""

from jgc.cli import main

if __name__ == "__main__":
    main()
