/* Ethernet controllers that can be told to interrupt by a register of their own, by family of registers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum nic_family {
    NIC_UNKNOWN = 0,
    NIC_E1000 = 1, /* Intel 8254x, 8257x, 8258x, I217 to I219: Linux e1000 and e1000e */
    NIC_IGB = 2,   /* Intel 82575, 82576, 82580, I350, I354, I210, I211: Linux igb */
    NIC_I40E = 3,  /* Intel X710, XL710, X722: Linux i40e */
};

enum nic_family nic_family(uint16_t vendor, uint16_t device);

/* Whether config status bit 3 says that it asserts INTx. In an X710, XL710 or X722 it never does (Linux
   drivers/pci/quirks.c, quirk_broken_intx_masking). */
bool nic_shows_intx(enum nic_family family);

/* Bytes of BAR 0 that the calls below touch. */
uint32_t nic_reach(enum nic_family family);

/* Whether registers answer at all: a device that is off, or behind a closed bridge, reads as ones. */
bool nic_answers(enum nic_family family, uint32_t registers);

/* Mask every cause and clear what is asserted. */
void nic_silence(enum nic_family family, uint32_t registers);

/* Raise one cause, unmasked. */
void nic_fire(enum nic_family family, uint32_t registers);
