/* After the report: what the other side asks for is sent again, until it has everything or stays silent.

   A request is one line, `resend 12,15-18` or `done`, and may end in ` *` and the CRC-16 (frame.h) of what is
   before, four hexadecimal digits: then a damaged line is told from a good one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { RANGES_MAX = 64, LINE_MAX = 512 };

enum request_kind { REQUEST_BAD, REQUEST_RESEND, REQUEST_DONE };

struct request {
    enum request_kind kind;
    unsigned count;
    struct {
        uint32_t first, last;
    } range[RANGES_MAX];
};

void request_read(const char *line, struct request *request);

/* Send the whole report, then serve requests. Ends `wait_s` seconds after the last one, after 20 minutes at
   most. Returns whether the other side said that it is done. */
bool serve(uint32_t wait_s);
