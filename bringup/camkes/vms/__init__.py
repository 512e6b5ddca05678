"""The virtual machines of an application, and what their VMM has and keeps."""
