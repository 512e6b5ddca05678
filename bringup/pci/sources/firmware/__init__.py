"""The firmware probe's report: frames, records, and the machine they describe."""
