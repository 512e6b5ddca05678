"""A captured tree of files: live, in a folder, in an archive; and what belongs into one."""
