/* A test suite as sel4test tells of it. */
#pragma once

#include <stdbool.h>

/* Run through `tests` tests, 50 ms each; the last but one fails if that is wanted. */
void suite_run(unsigned tests, bool fails);
