"""Power drivers: `power = "NAME"` in lab.toml names the module NAME here, which is imported when used."""
