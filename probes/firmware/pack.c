#include "pack.h"

enum {
    ZEROS = 0x80,
    ZEROS_LONG = 0xc0,
    ONES = 0xe0,
    RUN_MIN = 2,
    ZEROS_SHORT_MAX = 65,
    ZEROS_MAX = 8257,
    ONES_MAX = 33,
};

void pack_start(struct packer *packer, uint8_t *out, uint32_t room)
{
    packer->out = out;
    packer->room = room;
    packer->size = 0;
    packer->overflow = false;
    packer->literals = 0;
    packer->run = 0;
    packer->run_byte = 0;
}

static void emit(struct packer *packer, uint8_t byte)
{
    if (packer->size == packer->room) {
        packer->overflow = true;
        return;
    }
    packer->out[packer->size++] = byte;
}

static void flush_literals(struct packer *packer)
{
    if (packer->literals) {
        emit(packer, (uint8_t)(packer->literals - 1));
    }
    for (uint32_t i = 0; i < packer->literals; i++) {
        emit(packer, packer->literal[i]);
    }
    packer->literals = 0;
}

static void add_literal(struct packer *packer, uint8_t byte)
{
    packer->literal[packer->literals++] = byte;
    if (packer->literals == PACK_LITERAL_MAX) {
        flush_literals(packer);
    }
}

/* A run inside literals pays only from three bytes on: its token ends one literal and starts another. */
static void flush_run(struct packer *packer)
{
    uint32_t run = packer->run;
    packer->run = 0;
    if (run < RUN_MIN || (run == RUN_MIN && packer->literals)) {
        for (; run; run--) {
            add_literal(packer, packer->run_byte);
        }
        return;
    }
    flush_literals(packer);
    if (packer->run_byte) {
        emit(packer, (uint8_t)(ONES + run - RUN_MIN));
    } else if (run <= ZEROS_SHORT_MAX) {
        emit(packer, (uint8_t)(ZEROS + run - RUN_MIN));
    } else {
        run -= ZEROS_SHORT_MAX + 1;
        emit(packer, (uint8_t)(ZEROS_LONG + (run >> 8)));
        emit(packer, (uint8_t)run);
    }
}

void pack_byte(struct packer *packer, uint8_t byte)
{
    if (packer->run && byte != packer->run_byte) {
        flush_run(packer);
    }
    if (byte != 0x00 && byte != 0xff) {
        add_literal(packer, byte);
        return;
    }
    packer->run_byte = byte;
    packer->run++;
    if (packer->run == (byte ? ONES_MAX : ZEROS_MAX)) {
        flush_run(packer);
    }
}

void pack_finish(struct packer *packer)
{
    flush_run(packer);
    flush_literals(packer);
}
