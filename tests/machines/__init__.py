"""Machines of our own, told by every program whose words are read here.

`chips`, `e300` and `shapes` hold what is made, as facts with their sources; `model` and `caps` are the words
they are written in; `config` makes registers of them; `sysfs`, `lspci`, `pciconf`, `dmesg`, `firmware` and
`sel4` write what each program says. `catalogue` names the machines. The writers follow the programs' own
sources, not the readers under test, and nothing here is a copy of a recorded machine.
"""
