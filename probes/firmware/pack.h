/* Packs bytes that are mostly zero, as config spaces are.

   A token, then what belongs to it:
   00..7f  token + 1 bytes as they are
   80..bf  2 to 65 zeros
   c0..df  66 to 8257 zeros; the next byte is the low half of the number
   e0..ff  2 to 33 bytes of ff, which is what a register that is not there reads as */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PACK_LITERAL_MAX = 128 };

struct packer {
    uint8_t *out; /* grows from here */
    uint32_t room;
    uint32_t size;
    bool overflow; /* `room` did not do; `out` holds nothing usable */
    uint8_t literal[PACK_LITERAL_MAX];
    uint32_t literals;
    uint8_t run_byte;
    uint32_t run;
};

void pack_start(struct packer *packer, uint8_t *out, uint32_t room);
void pack_byte(struct packer *packer, uint8_t byte);

/* Write what is still held back; the packed size is then `packer->size`. */
void pack_finish(struct packer *packer);
