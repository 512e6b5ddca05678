/* Virtual machines of a CAmkES system as the console shows them: one line, many writers. */
#pragma once

#include "options.h"

/* Bring `options->vms` guests to their login prompt, or all of them to the stage of play=hang. */
void guests_run(const struct options *options);
