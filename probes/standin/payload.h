/* Is a module what was sent? Modules made by bringup/image/standin.py say so themselves. */
#pragma once

#include <stdbool.h>

#include "multiboot.h"

/* Check module `number` and print one line about it; false when it is damaged or truncated. */
bool payload_check(uint32_t number, const struct module *module);
