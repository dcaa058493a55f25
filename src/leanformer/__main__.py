"""`python -m leanformer`: the command line, as `torchrun -m leanformer` starts it."""

from leanformer.cli import main

if __name__ == "__main__":
    main()
