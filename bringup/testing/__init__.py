"""How does a lab test its own? A pytest plugin: fixtures for the virtual lab, the twin and real boards."""
