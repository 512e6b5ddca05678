"""How are several VMs asked over one console? What is typed, what came back, what of it is believed."""
