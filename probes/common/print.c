#include "print.h"

#include <stdarg.h>
#include <stdint.h>

#include "uart.h"

static bool muted;

void print_mute(bool now_muted)
{
    muted = now_muted;
}

static void put(char c)
{
    if (muted) {
        return;
    }
    if (c == '\n') {
        uart_put('\r');
    }
    uart_put((uint8_t)c);
}

static void put_text(const char *text)
{
    for (text = text ? text : ""; *text; text++) {
        put(*text);
    }
}

/* Digits backwards into a buffer; 64 bits only in base 16, where dividing is shifting. */
static void put_number(uint64_t value, bool hexadecimal, unsigned width, char padding)
{
    char digits[24];
    unsigned count = 0;
    do {
        unsigned digit = hexadecimal ? value & 15 : (uint32_t)value % 10;
        digits[count++] = "0123456789abcdef"[digit];
        value = hexadecimal ? value >> 4 : (uint32_t)value / 10;
    } while (value);
    for (; width > count; width--) {
        put(padding);
    }
    while (count) {
        put(digits[--count]);
    }
}

static void put_signed(int value)
{
    if (value < 0) {
        put('-');
    }
    put_number(value < 0 ? 0u - (uint32_t)value : (uint32_t)value, false, 0, ' ');
}

void print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        char padding = *++format == '0' ? '0' : ' ';
        unsigned width = 0;
        for (; *format >= '0' && *format <= '9'; format++) {
            width = width * 10 + (unsigned)(*format - '0');
        }
        bool wide = format[0] == 'l' && format[1] == 'l';
        format += wide ? 2 : 0;
        switch (*format) {
        case 's': put_text(va_arg(arguments, const char *)); break;
        case 'c': put((char)va_arg(arguments, int)); break;
        case 'd': put_signed(va_arg(arguments, int)); break;
        case 'u': put_number(va_arg(arguments, unsigned), false, width, padding); break;
        case 'x':
            put_number(wide ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned), true, width, padding);
            break;
        default: put(*format); break;
        }
    }
    va_end(arguments);
}
