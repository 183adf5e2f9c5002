"""`python -m pipeline` is `tocsin`."""

from pipeline.cli import main

main()
