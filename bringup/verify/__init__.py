"""Does it do what it must? Plans of checks as data, probes that gather evidence, and what evidence proves."""
