#include "words.h"

#include <stddef.h>

bool is_space(char c)
{
    return c <= ' ' && c != '\0';
}

bool ends_word(char c)
{
    return c == '\0' || is_space(c);
}

const char *after(const char *text, const char *prefix)
{
    for (; *prefix; text++, prefix++) {
        if (*text != *prefix) {
            return NULL;
        }
    }
    return text;
}

bool is_word(const char *text, const char *word)
{
    const char *rest = after(text, word);
    return rest && (ends_word(*rest) || *rest == ':');
}

uint32_t digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return (uint32_t)(c - '0');
    }
    c |= 0x20; /* lower case */
    return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : 16;
}

uint32_t read_number(const char *text, uint32_t most, uint32_t otherwise)
{
    const char *hexadecimal = after(text, "0x");
    uint32_t base = hexadecimal ? 16 : 10;
    uint64_t value = 0;
    text = hexadecimal ? hexadecimal : text;
    if (ends_word(*text)) {
        return otherwise;
    }
    for (; !ends_word(*text); text++) {
        uint32_t digit = digit_value(*text);
        value = value * base + digit;
        if (digit >= base || value > most) {
            return otherwise;
        }
    }
    return (uint32_t)value;
}

const char *next_word(const char *text)
{
    for (; is_space(*text); text++) {
    }
    return text;
}

const char *word_end(const char *text)
{
    for (; !ends_word(*text); text++) {
    }
    return text;
}
