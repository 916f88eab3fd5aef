"""`python -m adaptox`, and `torchrun -m adaptox train …` for several processes."""

from adaptox.cli import main

main()
