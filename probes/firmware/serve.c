#include "serve.h"

#include <stddef.h>

#include "clock.h"
#include "frame.h"
#include "print.h"
#include "report.h"
#include "uart.h"
#include "words.h"

enum { PROMPT_MS = 2000, LIMIT_S = 1200 };

static bool read_decimal(const char **text, uint32_t *value)
{
    const char *start = *text;
    uint64_t number = 0;
    for (; **text >= '0' && **text <= '9' && number <= FRAMES_MAX; (*text)++) {
        number = number * 10 + (uint64_t)(**text - '0');
    }
    *value = (uint32_t)number;
    return *text != start && number <= FRAMES_MAX;
}

/* The rest of a line: nothing, or the check of what is before. */
static bool ends_well(const char *line, const char *rest)
{
    const char *body_end = rest;
    rest = next_word(rest);
    if (!*rest) {
        return true;
    }
    uint32_t told = 0;
    for (int i = 1; i <= 4; i++) {
        uint32_t digit = *rest == '*' && rest[i] ? digit_value(rest[i]) : 16;
        if (digit > 15) {
            return false;
        }
        told = told << 4 | digit;
    }
    return !*next_word(rest + 5) && told == crc16((const uint8_t *)line, (uint32_t)(body_end - line));
}

static const char *read_ranges(const char *text, struct request *request)
{
    for (;; text++) {
        uint32_t first, last;
        if (request->count == RANGES_MAX || !read_decimal(&text, &first)) {
            return NULL;
        }
        last = first;
        if (*text == '-') {
            text++;
            if (!read_decimal(&text, &last) || last < first) {
                return NULL;
            }
        }
        request->range[request->count].first = first;
        request->range[request->count++].last = last;
        if (*text != ',') {
            return text;
        }
    }
}

void request_read(const char *line, struct request *request)
{
    *request = (struct request){.kind = REQUEST_BAD};
    line = next_word(line);
    const char *rest = after(line, "resend ");
    if (rest) {
        rest = read_ranges(rest, request);
        request->kind = rest && ends_well(line, rest) ? REQUEST_RESEND : REQUEST_BAD;
    } else if ((rest = after(line, "done"))) {
        request->kind = ends_well(line, rest) ? REQUEST_DONE : REQUEST_BAD;
    }
}

static uint64_t in_ms(uint32_t ms)
{
    return clock_now() + (uint64_t)ms * clock_ticks_per_ms();
}

/* The hello goes along: it says how many frames there are, should it have been lost. */
static void prompt(uint32_t wait_s)
{
    report_send(0, 0);
    print("bringup firmware probe: %u frames sent; say \"resend N,N-M\" or \"done\" within %u s\n", report_frames(),
          wait_s);
}

/* Collect a line; false when `deadline` passes first. Characters that are no text end nothing and are kept out. */
static bool read_line(char line[LINE_MAX], unsigned *length, uint64_t deadline)
{
    while (clock_now() < deadline) {
        uint8_t byte;
        if (!uart_get(&byte)) {
            continue;
        }
        if (byte == '\r' || byte == '\n') {
            bool some = *length != 0;
            line[*length] = '\0';
            *length = 0;
            if (some) {
                return true;
            }
        } else if (byte >= ' ' && byte <= '~' && *length < LINE_MAX - 1) {
            line[(*length)++] = (char)byte;
        }
    }
    return false;
}

bool serve(uint32_t wait_s)
{
    static char line[LINE_MAX];
    static struct request request;
    unsigned length = 0;
    uint64_t limit = in_ms(LIMIT_S * 1000);
    report_send(0, FRAMES_MAX);
    prompt(wait_s);
    uint64_t end = in_ms(wait_s * 1000);
    while (clock_now() < end && clock_now() < limit) {
        uint64_t next_prompt = in_ms(PROMPT_MS);
        if (!read_line(line, &length, next_prompt < end ? next_prompt : end)) {
            /* Not in the middle of a line that is coming in: sending takes time, and the FIFO is small. */
            if (length == 0 && clock_now() < end) {
                prompt(wait_s);
            }
            continue;
        }
        request_read(line, &request);
        if (request.kind == REQUEST_DONE) {
            return true;
        }
        for (unsigned i = 0; i < request.count && request.kind == REQUEST_RESEND && clock_now() < limit; i++) {
            report_send(request.range[i].first, request.range[i].last);
        }
        if (request.kind == REQUEST_BAD) {
            print("bringup firmware probe: not understood\n");
        }
        prompt(wait_s);
        end = request.kind == REQUEST_RESEND ? in_ms(wait_s * 1000) : end;
    }
    return false;
}
