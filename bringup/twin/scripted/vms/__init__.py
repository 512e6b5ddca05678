"""Several VMs on one console, played: the SerialServer before guests with real shells."""
