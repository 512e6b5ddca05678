"""What an application amounts to: after cpp, imports and merging."""
