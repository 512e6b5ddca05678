"""The scripted board: a twin without a machine, whose firmware, loader and image are texts.

Its BMC, its power and what it asks of the network are real; what it boots is not run. One process plays many
boards.
"""
