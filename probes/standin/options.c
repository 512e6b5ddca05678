#include "options.h"

#include <stddef.h>

#include "words.h"

static enum stage read_stage(const char *name)
{
    static const struct {
        const char *name;
        enum stage stage;
    } stages[] = {
        {"kernel", STAGE_KERNEL},
        {"user-space", STAGE_USER_SPACE},
        {"vmm", STAGE_VMM},
        {"guest", STAGE_GUEST},
    };
    for (unsigned i = 0; i < sizeof(stages) / sizeof(*stages); i++) {
        if (is_word(name, stages[i].name)) {
            return stages[i].stage;
        }
    }
    return STAGE_NONE;
}

static uint32_t number_unsaid(enum play play)
{
    switch (play) {
    case PLAY_FLOOD: return 2000;
    case PLAY_LATE_FAULT: return 4;
    case PLAY_SUITE:
    case PLAY_SUITE_FAILS: return 20;
    default: return 0;
    }
}

static void read_play(const char *text, struct options *options)
{
    static const struct {
        const char *name;
        enum play play;
    } plays[] = {
        {"hang", PLAY_HANG},           {"assert", PLAY_ASSERT},   {"vtx-locked", PLAY_VTX_LOCKED},
        {"no-module", PLAY_NO_MODULE}, {"reboot", PLAY_REBOOT},   {"garbage", PLAY_GARBAGE},
        {"flood", PLAY_FLOOD},         {"release", PLAY_RELEASE}, {"cap-fault", PLAY_CAP_FAULT},
        {"quiet", PLAY_QUIET},         {"report", PLAY_REPORT},   {"late-fault", PLAY_LATE_FAULT},
        {"suite", PLAY_SUITE},         {"needs", PLAY_NEEDS},     {"suite-fails", PLAY_SUITE_FAILS},
        {"module", PLAY_MODULE},       {"vmx", PLAY_VMX},
    };
    options->play = PLAY_NOTHING;
    for (unsigned i = 0; i < sizeof(plays) / sizeof(*plays); i++) {
        if (is_word(text, plays[i].name)) {
            options->play = plays[i].play;
        }
    }
    const char *argument = text;
    while (!ends_word(*argument) && *argument != ':') {
        argument++;
    }
    argument += *argument == ':';
    options->hang_after = options->play == PLAY_HANG ? read_stage(argument) : STAGE_NONE;
    options->number = read_number(argument, 1000000, number_unsaid(options->play));
    options->report = options->play == PLAY_REPORT ? report_find(argument) : NULL;
    options->feature = options->play == PLAY_NEEDS ? feature_find(argument) : NULL;
    options->misspelt = options->play == PLAY_NOTHING ||
                        (options->play == PLAY_HANG && options->hang_after == STAGE_NONE) ||
                        (options->play == PLAY_QUIET && options->number == 0) ||
                        (options->play == PLAY_REPORT && !options->report) ||
                        (options->play == PLAY_NEEDS && !options->feature);
    options->play = options->misspelt ? PLAY_NOTHING : options->play;
}

static void read_word(const char *word, struct options *options)
{
    const char *value;
    if ((value = after(word, "console_port="))) {
        options->console_port = (uint16_t)read_number(value, 0xffff, 0x3f8);
    } else if ((value = after(word, "debug_port="))) {
        options->debug_port = (uint16_t)read_number(value, 0xffff, 0x3f8);
    } else if (is_word(word, "disable_iommu")) {
        options->disable_iommu = true;
    } else if ((value = after(word, "vms="))) {
        uint32_t wanted = read_number(value, UINT32_MAX, 0);
        options->vms = wanted < VMS_MAX ? wanted : VMS_MAX;
    } else if ((value = after(word, "seed="))) {
        options->seed = read_number(value, UINT32_MAX, 1);
    } else if ((value = after(word, "play="))) {
        read_play(value, options);
    }
}

void options_read(const char *cmdline, struct options *options)
{
    *options = (struct options){.console_port = 0x3f8, .debug_port = 0x3f8, .seed = 1};
    for (cmdline = next_word(cmdline); *cmdline; cmdline = next_word(word_end(cmdline))) {
        read_word(cmdline, options);
    }
    /* These say something about VMs, so there has to be one. */
    bool about_vms = options->hang_after >= STAGE_VMM || (options->play == PLAY_RELEASE && !options->number) ||
                     (options->report && options->report->when >= IN_VMM);
    options->vms = about_vms && options->vms == 0 ? 1 : options->vms;
    options->seed = options->seed ? options->seed : 1;
}
