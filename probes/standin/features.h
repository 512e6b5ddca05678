/* Processor features that a 64-bit seL4 kernel refuses to start without, and its words for that. */
#pragma once

#include <stdbool.h>

struct feature {
    const char *name;
    bool (*present)(void);
    const char *refusal;
};

/* The feature of play=needs:NAME, NULL for a name that there is not. */
const struct feature *feature_find(const char *name);
