/* The report: records in memory, cut into frames, sent as often as they are asked for.

   A record starts on a frame of its own: type u8, packed size u24, CRC-32 of the packed bytes u32, then the
   packed body (pack.h). Numbers are little-endian. Bodies by type:

   1 hello    version u8 (1), frames u16, records u16, records dropped u16; always frame 0 alone
   2 boot     protocol u8, firmware u8 (1 BIOS, 2 UEFI, 0 not known), RSDP u32, found u8 (acpi.h),
              time stamp counter kHz u32, command line
   3 cpu      CPUID leaf 1 a, b, c, d u32; valid u8 (bit 0 and 1: the two that follow), IA32_FEATURE_CONTROL
              u64, IA32_APIC_BASE u64, brand text
   4 memory   per range: start u64, size u64, type u32 (ACPI 6.4, 15)
   5 function bdf u16, ECAM u8 (pci.h), dwords that differ u8, first of them u8, sizing u8 (size.h),
              6 × u32 what the BARs read after ones were written, u32 the same for the ROM, config space
   6 table    physical address u32, the ACPI table
   7 tables   per table: signature 4, address u32, length u32, flags u8 (bit 0 checksum right, 1 sent)
   8 ioapic   index in the MADT u8, address u32, id register u32, version register u32, GSI base u32,
              redirection entries u64
   9 pin      pins.h
   10 note    a sentence */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum record {
    RECORD_HELLO = 1,
    RECORD_BOOT,
    RECORD_CPU,
    RECORD_MEMORY,
    RECORD_FUNCTION,
    RECORD_TABLE,
    RECORD_TABLES,
    RECORD_IOAPIC,
    RECORD_PIN,
    RECORD_NOTE,
};

/* Forget everything; `run` tells this run's frames from those of an earlier one in the same log. */
void report_start(uint8_t run);

void record_begin(enum record type);
void record_u8(uint32_t value);
void record_u16(uint32_t value);
void record_u32(uint32_t value);
void record_u64(uint64_t value);
void record_bytes(const void *data, uint32_t size);

/* False when it did not fit: the record is then gone as if it had not been begun. */
bool record_end(void);

/* A note in the report and a line on the console. */
void report_note(const char *text);

/* Count a record that was given up. */
void report_dropped(void);

/* Write the hello; returns the number of frames. */
uint32_t report_finish(void);

uint32_t report_frames(void);
uint8_t report_run(void);

/* Send frames `first` to `last`, both included, two a line; numbers beyond the end are ignored. */
void report_send(uint32_t first, uint32_t last);
