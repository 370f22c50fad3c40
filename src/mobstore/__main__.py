"""`python -m mobstore` is the command line."""

from mobstore.cli import main

main()
