"""Words that all rooms share: errors, events, stages, findings, paths, files."""
