#include "options.h"

#include <stddef.h>

#include "words.h"

enum { BAD = 0xffffffff };

/* One to `most` hexadecimal digits before `ending`; BAD when it is something else. */
static uint32_t read_part(const char **text, unsigned most, char ending)
{
    uint32_t value = 0;
    unsigned count = 0;
    for (; digit_value(**text) < 16 && count < most; (*text)++, count++) {
        value = value << 4 | digit_value(**text);
    }
    if (!count || (ending && **text != ending)) {
        return BAD;
    }
    *text += ending != 0;
    return value;
}

bool bdf_read(const char *text, uint16_t *bdf, const char **end)
{
    const char *domain = after(text, "0000:");
    text = domain ? domain : text;
    uint32_t bus = read_part(&text, 2, ':');
    uint32_t device = bus == BAD ? BAD : read_part(&text, 2, '.');
    uint32_t function = device == BAD ? BAD : read_part(&text, 1, '\0');
    if (function > 7 || device > 31) {
        return false;
    }
    *bdf = (uint16_t)(bus << 8 | device << 3 | function);
    *end = text;
    return true;
}

static void read_fire(const char *text, struct options *options)
{
    options->fire_nics = is_word(text, "nics");
    options->fire_count = 0;
    if (options->fire_nics || is_word(text, "none")) {
        return;
    }
    for (;; text++) {
        uint16_t bdf;
        if (options->fire_count == FIRE_MAX || !bdf_read(text, &bdf, &text)) {
            options->misspelt = true;
            return;
        }
        options->fire[options->fire_count++] = bdf;
        if (*text != ',') {
            options->misspelt |= !ends_word(*text);
            return;
        }
    }
}

/* The place of the word among `names`, which a NULL ends; 0 and misspelt for none of them. */
static unsigned read_choice(const char *text, const char *const *names, struct options *options)
{
    for (unsigned i = 0; names[i]; i++) {
        if (is_word(text, names[i])) {
            return i;
        }
    }
    options->misspelt = true;
    return 0;
}

static uint16_t read_port(const char *text, struct options *options)
{
    uint32_t port = read_number(text, 0xfff8, 0);
    options->misspelt |= port == 0;
    return (uint16_t)port;
}

static void read_word(const char *word, struct options *options)
{
    static const char *const afters[] = {"halt", "off", "reboot", NULL};
    static const char *const sizes[] = {"on", "off", NULL};
    static const char *const tables[] = {"few", "all", NULL};
    const char *value;
    if ((value = after(word, "port=")) || (value = after(word, "debug_port="))) {
        uint16_t port = read_port(value, options);
        options->port = port ? port : options->port;
    } else if ((value = after(word, "also="))) {
        options->also = read_port(value, options);
    } else if ((value = after(word, "fire="))) {
        read_fire(value, options);
    } else if ((value = after(word, "size="))) {
        options->size = read_choice(value, sizes, options) == 0;
    } else if ((value = after(word, "acpi="))) {
        options->all_tables = read_choice(value, tables, options) == 1;
    } else if ((value = after(word, "wait="))) {
        uint32_t wait = read_number(value, 600, BAD);
        options->misspelt |= wait == BAD;
        options->wait_s = wait == BAD ? options->wait_s : wait;
    } else if ((value = after(word, "after="))) {
        options->after = (enum after)read_choice(value, afters, options);
    }
}

void options_read(const char *cmdline, struct options *options)
{
    *options = (struct options){.port = 0x3f8, .fire_nics = true, .size = true, .wait_s = 20};
    for (cmdline = next_word(cmdline); *cmdline; cmdline = next_word(word_end(cmdline))) {
        read_word(cmdline, options);
    }
    options->also = options->also == options->port ? 0 : options->also;
}
