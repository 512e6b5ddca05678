/* Words of a kernel command line: separated by white space, `key=value` among them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool is_space(char c);

/* White space or the end of the text. */
bool ends_word(char c);

/* The text after `prefix` if `text` begins with it, else NULL. */
const char *after(const char *text, const char *prefix);

/* Whether the word at `text` is `word`, up to a space, a colon or the end. */
bool is_word(const char *text, const char *word);

/* The value of a hexadecimal digit, 16 for anything else. */
uint32_t digit_value(char c);

/* A decimal or 0x number that fills its word, at most `most`; `otherwise` for anything else. */
uint32_t read_number(const char *text, uint32_t most, uint32_t otherwise);

/* The start of the next word at or after `text`; "" at the end. */
const char *next_word(const char *text);

/* The end of the word at `text`. */
const char *word_end(const char *text);
