# How a program that a boot loader starts is built: gcc and binutils alone, so no 32-bit libraries are needed.
# The including Makefile sets HERE (its folder), NAME (for people), OUT (the file to make), then includes this.
#   make -C probes/X            into build/ of the project
#   make -C probes/X OUT=FILE   somewhere else

COMMON := $(abspath $(HERE)../common)

# On a host that is not x86: make CC=x86_64-linux-gnu-gcc
ifeq ($(origin CC),default)
CC := gcc
endif

SOURCES := $(COMMON)/start.S $(sort $(wildcard $(COMMON)/*.c)) $(sort $(wildcard $(HERE)*.S) $(wildcard $(HERE)*.c))
INPUTS  := $(SOURCES) $(wildcard $(COMMON)/*.h) $(wildcard $(HERE)*.h) $(COMMON)/link.ld \
	$(COMMON)/freestanding.mk $(HERE)Makefile

# No SSE and no x87: nobody has set those units up when a boot loader hands over.
PROBE_CFLAGS := -m32 -march=i686 -mgeneral-regs-only -std=gnu11 -O2 -Wall -Wextra \
	-ffreestanding -fno-builtin -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-tree-loop-distribute-patterns -fcf-protection=none \
	-ffunction-sections -fdata-sections -I $(COMMON) -I $(HERE)

# -n: no page alignment in the file, else the headers land beyond the first 8 KiB.
PROBE_LDFLAGS := -static -no-pie -nostdlib -s -Wl,-m,elf_i386 -Wl,-n -Wl,--build-id=none \
	-Wl,-z,noexecstack -Wl,--gc-sections -Wl,-T,$(COMMON)/link.ld

$(OUT): $(INPUTS)
	@echo "building the $(NAME)"
	@mkdir -p $(dir $@)
	@$(CC) $(PROBE_CFLAGS) $(PROBE_LDFLAGS) $(SOURCES) -o $@.$$$$ && mv -f $@.$$$$ $@

.PHONY: clean
clean:
	rm -f $(OUT)
