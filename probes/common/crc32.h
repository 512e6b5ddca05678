/* CRC-32 as zlib, gzip and Ethernet compute it (reflected polynomial 0xedb88320). */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32(const void *data, size_t size);
