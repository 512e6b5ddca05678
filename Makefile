# Two commands do everything on a fresh Debian 12 or 13 with git, make, python3 and root or sudo:
#   make boot    install what is missing, then boot the twin
#   make test    install what is missing, then run all tests
# What is done is not done again: .stamps/ holds one file per finished step.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SYSTEM_PYTHON := /usr/bin/python3
SYSTEM_VENV   := build/system-python
# Tests start thousands of processes: what they import is compiled once, also where the environment asks otherwise.
unexport PYTHONDONTWRITEBYTECODE
# What boards boot, of our own: the stand-in image and the firmware probe.
STANDIN := build/standin/standin-kernel
PROBE   := build/firmware/firmware-probe
BUILT   := $(STANDIN) $(PROBE)

# What the twin, network boot, the probes, the CAmkES commands and the virtual lab stand on.
RUN_PACKAGES := python3-venv gcc cpp libc6-dev binutils \
	qemu-system-x86 seabios ovmf ipxe ipxe-qemu \
	grub-common grub-pc-bin grub-efi-amd64-bin \
	dnsmasq-base iproute2 ethtool util-linux \
	acpica-tools pci.ids linux-image-amd64 busybox-static cpio xorriso mtools \
	wireguard-go wireguard-tools nftables iptables iperf3
# Independent peers that the tests measure this tool against.
FAST_TEST_PACKAGES := curl procps pciutils shellcheck librsvg2-bin zstd gdisk dosfstools grub-emu fdisk
TEST_PACKAGES := $(FAST_TEST_PACKAGES) openipmi ipmitool freeipmi-tools tcpdump hyperfine time tmux \
	bochs bochs-term bochsbios vgabios xen-hypervisor-4.17-amd64 clang libclang-rt-14-dev

.PHONY: boot test test-long test-fast test-system-python test-distros lint bench standin firmware-probe system system-test clean help

help:
	@echo "make boot | test | test-fast | test-system-python | test-distros | lint | bench | clean"

boot: .stamps/venv $(BUILT)
	@$(BIN)/bringup boot e300

# Those that boot machines wait for half of their time, so there is one more at work than there are processors.
SLOW_WORKERS := $(shell expr $$(nproc) + 1)

# Side by side; those that boot machines by the file, because fixtures keep a machine up for all tests of one.
test: .stamps/venv-dev .stamps/system-test $(BUILT) lint
	$(BIN)/python -m pytest -m "not slow" -n auto -q
	$(BIN)/python -m pytest -m "slow and not long" -n $(SLOW_WORKERS) --dist loadfile

# What takes minutes each: whole re-images, whole plans, everything that is otherwise a sample.
test-long: .stamps/venv-dev .stamps/system-test $(BUILT)
	$(BIN)/python -m pytest -m long -n auto --dist loadfile

test-fast: .stamps/venv-dev .stamps/system-test-fast $(BUILT)
	$(BIN)/python -m pytest -m "not slow" -n auto -q

# The fast tests on the distribution's own Python, where the one above is another.
test-system-python: .stamps/system-python .stamps/system-test-fast $(BUILT)
	@if [ -e $(SYSTEM_VENV) ]; then $(SYSTEM_VENV)/bin/python -m pytest -m "not slow" -n auto -q; fi

# Opt-in, as root: both commands of the README in bare Debian 12 and 13, which it makes in build/distros.
test-distros:
	@scripts/test-distros

lint: .stamps/venv-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .stamps/venv-dev .stamps/system-test $(BUILT)
	$(BIN)/python bench/run.py
	$(BIN)/python bench/pci.py
	$(BIN)/python bench/camkes.py
	$(BIN)/python bench/probe.py
	$(BIN)/python bench/before.py

standin: $(STANDIN)
firmware-probe: $(PROBE)

$(STANDIN): .stamps/system $(wildcard probes/common/* probes/standin/*)
	@$(MAKE) --no-print-directory -C probes/standin OUT=$(CURDIR)/$@

$(PROBE): .stamps/system $(wildcard probes/common/* probes/firmware/*)
	@$(MAKE) --no-print-directory -C probes/firmware OUT=$(CURDIR)/$@

system: .stamps/system
system-test: .stamps/system-test

.stamps/system: Makefile
	@mkdir -p .stamps
	@./scripts/apt-install $(RUN_PACKAGES)
	@touch $@

.stamps/system-test-fast: Makefile .stamps/system
	@mkdir -p .stamps
	@./scripts/apt-install $(FAST_TEST_PACKAGES)
	@touch $@

.stamps/system-test: Makefile .stamps/system
	@./scripts/apt-install $(TEST_PACKAGES)
	@touch $@

# An interpreter that can make a venv comes first; Debian's own needs python3-venv from the list above.
$(BIN)/python: .stamps/system
	@$(PYTHON) -m venv $(VENV)
	@touch $@

.stamps/venv: $(BIN)/python pyproject.toml
	@echo "installing Python packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.stamps/venv-dev: $(BIN)/python pyproject.toml
	@echo "installing Python packages for tests"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .stamps/venv

VERSION := -c 'import sys; print(sys.version)'
.stamps/system-python: $(BIN)/python pyproject.toml
	@if [ "$$($(BIN)/python $(VERSION))" != "$$($(SYSTEM_PYTHON) $(VERSION))" ]; then \
		echo "installing Python packages for $(SYSTEM_PYTHON)"; \
		$(SYSTEM_PYTHON) -m venv $(SYSTEM_VENV) && \
		$(SYSTEM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; \
	fi
	@touch $@

clean:
	rm -rf build dist .stamps $(VENV)
