#include "report.h"

#include "bytes.h"
#include "crc32.h"
#include "frame.h"
#include "pack.h"
#include "print.h"

enum { HEADER = 8, VERSION = 1, ARENA = FRAMES_MAX * FRAME_PAYLOAD };

static uint8_t arena[ARENA];
static uint8_t starts[FRAMES_MAX / 8 + 1]; /* bit per frame: a record starts here */
static uint32_t frames, records, dropped;
static uint8_t run;
static struct packer packer;
static enum record open_type;

static uint8_t *payload_of(uint32_t frame)
{
    return arena + frame * FRAME_PAYLOAD;
}

void report_start(uint8_t this_run)
{
    for (uint32_t i = 0; i < sizeof(arena); i++) {
        arena[i] = 0;
    }
    for (uint32_t i = 0; i < sizeof(starts); i++) {
        starts[i] = 0;
    }
    run = this_run & 0x7f;
    frames = 1; /* frame 0 is the hello's */
    records = dropped = 0;
}

void record_begin(enum record type)
{
    uint32_t room = (FRAMES_MAX - frames) * FRAME_PAYLOAD;
    open_type = type;
    pack_start(&packer, payload_of(frames) + HEADER, room > HEADER ? room - HEADER : 0);
}

void record_u8(uint32_t value)
{
    pack_byte(&packer, (uint8_t)value);
}

void record_u16(uint32_t value)
{
    record_u8(value);
    record_u8(value >> 8);
}

void record_u32(uint32_t value)
{
    record_u16(value);
    record_u16(value >> 16);
}

void record_u64(uint64_t value)
{
    record_u32((uint32_t)value);
    record_u32((uint32_t)(value >> 32));
}

void record_bytes(const void *data, uint32_t size)
{
    for (const uint8_t *byte = data; size; size--, byte++) {
        pack_byte(&packer, *byte);
    }
}

static void close_record(uint32_t frame, uint32_t size)
{
    uint8_t *start = payload_of(frame);
    starts[frame / 8] |= (uint8_t)(1 << frame % 8);
    put32(start, (uint32_t)open_type | size << 8);
    put32(start + 4, crc32(start + HEADER, size));
}

bool record_end(void)
{
    pack_finish(&packer);
    if (packer.overflow) {
        for (uint32_t i = 0; i < packer.size; i++) {
            packer.out[i] = 0;
        }
        return false;
    }
    close_record(frames, packer.size);
    frames += (HEADER + packer.size + FRAME_PAYLOAD - 1) / FRAME_PAYLOAD;
    records++;
    return true;
}

void report_dropped(void)
{
    dropped++;
}

void report_note(const char *text)
{
    print("note: %s\n", text);
    record_begin(RECORD_NOTE);
    for (; *text; text++) {
        record_u8((uint8_t)*text);
    }
    if (!record_end()) {
        report_dropped();
    }
}

uint32_t report_finish(void)
{
    open_type = RECORD_HELLO;
    pack_start(&packer, payload_of(0) + HEADER, FRAME_PAYLOAD - HEADER);
    record_u8(VERSION);
    record_u16(frames);
    record_u16(records);
    record_u16(dropped);
    pack_finish(&packer);
    close_record(0, packer.size);
    return frames;
}

uint32_t report_frames(void)
{
    return frames;
}

uint8_t report_run(void)
{
    return run;
}

void report_send(uint32_t first, uint32_t last)
{
    uint32_t on_line = 0;
    for (uint32_t frame = first; frame <= last && frame < frames; frame++) {
        char text[FRAME_CHARACTERS + 1];
        frame_write(text, (uint16_t)frame, run, starts[frame / 8] >> frame % 8 & 1, payload_of(frame));
        text[FRAME_CHARACTERS] = '\0';
        on_line++;
        print(on_line % 2 ? "%s" : "%s\n", text);
    }
    if (on_line % 2) {
        print("\n");
    }
}
