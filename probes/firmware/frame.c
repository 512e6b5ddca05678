#include "frame.h"

#include "bytes.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!,$%&()*+-;<=>?@^_`{|}~";

uint16_t crc16(const uint8_t *data, uint32_t size)
{
    uint16_t crc = 0xffff;
    for (; size; size--, data++) {
        crc ^= (uint16_t)(*data << 8);
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)(crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0));
        }
    }
    return crc;
}

/* Four bytes, most significant first, become five digits, as in RFC 1924 and Python's b85encode. */
static void write_word(char *out, const uint8_t *bytes)
{
    uint32_t value = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    for (int i = 4; i >= 0; i--) {
        out[i] = digits[value % 85];
        value /= 85;
    }
}

void frame_write(char out[FRAME_CHARACTERS], uint16_t number, uint8_t run, bool starts_record,
                 const uint8_t payload[FRAME_PAYLOAD])
{
    uint8_t bytes[FRAME_BYTES];
    put16(bytes, number);
    bytes[2] = (uint8_t)((run & 0x7f) | (starts_record ? 0x80 : 0));
    for (int i = 0; i < FRAME_PAYLOAD; i++) {
        bytes[3 + i] = payload[i];
    }
    put16(bytes + FRAME_BYTES - 2, crc16(bytes, FRAME_BYTES - 2));
    out[0] = '#';
    for (int word = 0; word < FRAME_BYTES / 4; word++) {
        write_word(out + 1 + 5 * word, bytes + 4 * word);
    }
}
