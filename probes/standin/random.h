/* Pseudo-random bits: xorshift32 (Marsaglia, "Xorshift RNGs", 2003), the same for the same seed. */
#pragma once

#include <stdint.h>

struct random {
    uint32_t state; /* never 0 */
};

static inline uint32_t random_bits(struct random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 17;
    random->state ^= random->state << 5;
    return random->state;
}

/* A number from 0 to `bound` - 1. */
static inline uint32_t random_below(struct random *random, uint32_t bound)
{
    return (random_bits(random) >> 8) % bound;
}
