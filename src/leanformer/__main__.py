"""`python -m leanformer`: what `torchrun -m leanformer train …` starts in each process."""

from leanformer.cli import main

if __name__ == "__main__":
    main()
