"""`python -m bringup` is the same as `bringup`."""

from bringup.cli import main

main()
