#include "crc32.h"

/* Eight bytes a step with eight tables (Kounavis and Berry, "Novel Table Lookup-Based Algorithms for
   High-Performance CRC Generation", 2008): an emulated processor has to check 64 MiB in a fraction of a
   second. */
static uint32_t table[8][256];

static void fill_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t remainder = byte;
        for (int bit = 0; bit < 8; bit++) {
            remainder = remainder >> 1 ^ (remainder & 1 ? 0xedb88320u : 0);
        }
        table[0][byte] = remainder;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = table[slice - 1][byte];
            table[slice][byte] = before >> 8 ^ table[0][before & 0xff];
        }
    }
}

uint32_t crc32(const void *data, size_t size)
{
    typedef uint32_t __attribute__((may_alias, aligned(1))) word;
    if (!table[0][1]) {
        fill_tables();
    }
    uint32_t crc = ~0u;
    const uint8_t *byte = data;
    for (; size >= 8; size -= 8, byte += 8) {
        uint32_t low = crc ^ ((const word *)byte)[0];
        uint32_t high = ((const word *)byte)[1];
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
              table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^
              table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
    }
    for (; size; size--, byte++) {
        crc = crc >> 8 ^ table[0][(crc ^ *byte) & 0xff];
    }
    return ~crc;
}
