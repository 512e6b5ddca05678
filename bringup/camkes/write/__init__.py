"""The ways of writing a configuration: overlay, update, migrate."""
