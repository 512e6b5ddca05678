/* Frames: the report in pieces of fixed size, each of which proves by itself that it is whole.

   A frame is 24 bytes, written as `#` and 30 characters in base 85:

   0   u16  number of the frame, from 0
   2   u8   low 7 bits: which run of the probe this is; bit 7: a record starts here
   3   19   payload
   22  u16  CRC-16 of the 22 bytes before (polynomial 0x1021, start 0xffff; Python: binascii.crc_hqx)

   A lost or inserted character changes the length, a changed one the CRC. Short frames, because what is sent
   again is whole frames: with one byte in twenty lost, one frame of 31 characters in five still arrives.
   The digits are those of RFC 1924 with `,` in the place of `#`, which so starts frames and nothing else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    FRAME_BYTES = 24,
    FRAME_PAYLOAD = 19,
    FRAME_CHARACTERS = 31,
    FRAMES_MAX = 65535,
};

uint16_t crc16(const uint8_t *data, uint32_t size);

/* Write a frame's characters, without an end of text. */
void frame_write(char out[FRAME_CHARACTERS], uint16_t number, uint8_t run, bool starts_record,
                 const uint8_t payload[FRAME_PAYLOAD]);
