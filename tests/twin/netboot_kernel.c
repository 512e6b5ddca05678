/* A kernel for tests of network boot: says on COM2 what the loader gave it (multiboot 1 and 2), then stops. */
typedef unsigned char u8;
typedef unsigned int u32;

#define COM2 0x2f8
#define MB1_MAGIC 0x2badb002u
#define MB2_MAGIC 0x36d76289u

__attribute__((section(".header"), aligned(8), used)) static const u32 header2[] = {
    0xe85250d6u, 0, 24, 0u - (0xe85250d6u + 0 + 24), 0, 8,
};
__attribute__((section(".header"), aligned(8), used)) static const u32 header1[] = {
    0x1badb002u, 3, 0u - (0x1badb002u + 3),
};

__asm__(".section .text.start, \"ax\"\n"
        ".globl start\n"
        "start: cli\n"
        "mov $stack_top, %esp\n"
        "push %ebx\n"
        "push %eax\n"
        "call kernel\n"
        "1: hlt\n"
        "jmp 1b\n"
        ".bss\n"
        ".skip 8192\n"
        "stack_top:\n"
        ".text\n");

static void out(u32 port, u8 value) { __asm__ volatile("outb %0, %w1" : : "a"(value), "Nd"(port)); }
static u8 in(u32 port) { u8 v; __asm__ volatile("inb %w1, %0" : "=a"(v) : "Nd"(port)); return v; }

static void put(char c) { while (!(in(COM2 + 5) & 0x20)) { } out(COM2, (u8)c); }
static void text(const char *s) { while (*s) put(*s++); }
static void number(u32 n) { if (n >= 10) number(n / 10); put((char)('0' + n % 10)); }

static void module(u32 index, u32 start, u32 end, const char *args) {
    text("netboot-kernel: module "); number(index);
    text(" bytes="); number(end - start);
    text(" first="); number(*(u8 *)start); text(" last="); number(*(u8 *)(end - 1));
    text(" args=["); text(args); text("]\r\n");
}

static void arguments(const char *args) { text("netboot-kernel: args=["); text(args); text("]\r\n"); }

static void multiboot1(const u32 *info) {
    arguments(info[0] & 4 ? (const char *)info[4] : "");
    const u32 *entry = (const u32 *)info[6];
    for (u32 i = 0; (info[0] & 8) && i < info[5]; i++, entry += 4)
        module(i + 1, entry[0], entry[1], entry[2] ? (const char *)entry[2] : "");
}

static void multiboot2(const u32 *info) {
    u32 index = 0;
    for (const u32 *tag = info + 2; tag[0] != 0; tag += (tag[1] + 7) / 8 * 2) {
        if (tag[0] == 1) arguments((const char *)(tag + 2));
        if (tag[0] == 3) module(++index, tag[2], tag[3], (const char *)(tag + 4));
    }
}

__attribute__((used)) void kernel(u32 magic, const u32 *info) {
    out(COM2 + 1, 0); out(COM2 + 3, 0x80); out(COM2, 1); out(COM2 + 1, 0); out(COM2 + 3, 3);
    text("\r\nnetboot-kernel: started by multiboot "); put(magic == MB2_MAGIC ? '2' : '1'); text("\r\n");
    if (magic == MB1_MAGIC) multiboot1(info); else multiboot2(info);
    text("netboot-kernel: end\r\n");
}
