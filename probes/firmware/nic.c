#include "nic.h"

#include <stddef.h>

#include "io.h"

/* Linux drivers/net/ethernet/intel/e1000/e1000_hw.h and e1000e/regs.h. */
enum {
    E1000_STATUS = 0x008,
    E1000_ICR = 0x0c0,
    E1000_ICS = 0x0c8,
    E1000_IMS = 0x0d0,
    E1000_IMC = 0x0d8,
};

/* Linux drivers/net/ethernet/intel/igb/e1000_regs.h: that driver uses ICR, ICS, IMS and IMC of the whole family
   where e1000 has them. QEMU's 82576 has them there only, and not at their newer places from 0x1500 on. */
enum {
    IGB_GPIE = 0x1514, /* several MSI-X vectors on, and ICR causes do not reach INTx */
    IGB_EIMC = 0x1528,
    IGB_EICR = 0x1580,
};

/* Receive descriptors low: the cause that Linux igb itself raises by software (igb_watchdog_task). */
static const uint32_t CAUSE_RXDMT0 = 1 << 4;

/* Linux drivers/net/ethernet/intel/i40e/i40e_register.h. The value that fires is the one of the i40e driver's
   own interrupt test (i40e_intr_test): enabled, software trigger, no throttling. */
enum {
    I40E_PFINT_DYN_CTL0 = 0x38480,
    I40E_PFINT_ICR0 = 0x38780,
    I40E_PFINT_ICR0_ENA = 0x38800,
    DYN_CTL_INTENA = 1 << 0,
    DYN_CTL_CLEARPBA = 1 << 1,
    DYN_CTL_SWINT_TRIG = 1 << 2,
    DYN_CTL_ITR_NONE = 3 << 3,
    DYN_CTL_SW_ITR_INDX_ENA = 1 << 24,
    DYN_CTL_SW_ITR_NONE = 3 << 25,
};

/* Device ids as the tables of the Linux 6.1 drivers hold them. */
static const uint16_t e1000_ids[] = {
    0x1000, 0x1001, 0x1004, 0x1008, 0x1009, 0x100c, 0x100d, 0x100e, 0x100f, 0x1010, 0x1011, 0x1012, 0x1013,
    0x1014, 0x1015, 0x1016, 0x1017, 0x1018, 0x1019, 0x101a, 0x101d, 0x101e, 0x1026, 0x1027, 0x1028, 0x1075,
    0x1076, 0x1077, 0x1078, 0x1079, 0x107a, 0x107b, 0x107c, 0x108a, 0x1099, 0x10b5, 0x2e6e,
    /* e1000e */
    0x0d4c, 0x0d4d, 0x0d4e, 0x0d4f, 0x0d53, 0x0d55, 0x0dc5, 0x0dc6, 0x0dc7, 0x0dc8, 0x1049, 0x104a, 0x104b,
    0x104c, 0x104d, 0x105e, 0x105f, 0x1060, 0x107d, 0x107e, 0x107f, 0x108b, 0x108c, 0x1096, 0x1098, 0x109a,
    0x10a4, 0x10a5, 0x10b9, 0x10ba, 0x10bb, 0x10bc, 0x10bd, 0x10bf, 0x10c0, 0x10c2, 0x10c3, 0x10c4, 0x10c5,
    0x10cb, 0x10cc, 0x10cd, 0x10ce, 0x10d3, 0x10d5, 0x10d9, 0x10da, 0x10de, 0x10df, 0x10e5, 0x10ea, 0x10eb,
    0x10ef, 0x10f0, 0x10f5, 0x10f6, 0x1501, 0x1502, 0x1503, 0x150c, 0x1525, 0x153a, 0x153b, 0x1559, 0x155a,
    0x156f, 0x1570, 0x15a0, 0x15a1, 0x15a2, 0x15a3, 0x15b7, 0x15b8, 0x15b9, 0x15bb, 0x15bc, 0x15bd, 0x15be,
    0x15d6, 0x15d7, 0x15d8, 0x15df, 0x15e0, 0x15e1, 0x15e2, 0x15e3, 0x15f4, 0x15f5, 0x15f9, 0x15fa, 0x15fb,
    0x15fc, 0x1a1c, 0x1a1d, 0x1a1e, 0x1a1f, 0x294c, 0x550a, 0x550b, 0x550c, 0x550d, 0x550e, 0x550f, 0x5510,
    0x5511,
};
static const uint16_t igb_ids[] = {
    0x0438, 0x043a, 0x043c, 0x0440, 0x10a7, 0x10a9, 0x10c9, 0x10d6, 0x10e6, 0x10e7, 0x10e8, 0x150a,
    0x150d, 0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1518, 0x1521, 0x1522, 0x1523, 0x1524, 0x1526,
    0x1527, 0x1533, 0x1536, 0x1537, 0x1538, 0x1539, 0x157b, 0x157c, 0x1f40, 0x1f41, 0x1f45,
};
static const uint16_t i40e_ids[] = {
    0x0cf8, 0x0d58, 0x0dd2, 0x0dda, 0x104e, 0x104f, 0x1572, 0x1574, 0x1580, 0x1581, 0x1583, 0x1584, 0x1585,
    0x1586, 0x1587, 0x1588, 0x1589, 0x158a, 0x158b, 0x15ff, 0x37ce, 0x37cf, 0x37d0, 0x37d1, 0x37d2, 0x37d3,
};

static const struct {
    enum nic_family family;
    const uint16_t *ids;
    unsigned count;
} families[] = {
    {NIC_E1000, e1000_ids, sizeof(e1000_ids) / sizeof(*e1000_ids)},
    {NIC_IGB, igb_ids, sizeof(igb_ids) / sizeof(*igb_ids)},
    {NIC_I40E, i40e_ids, sizeof(i40e_ids) / sizeof(*i40e_ids)},
};

enum nic_family nic_family(uint16_t vendor, uint16_t device)
{
    for (unsigned i = 0; vendor == 0x8086 && i < sizeof(families) / sizeof(*families); i++) {
        for (unsigned k = 0; k < families[i].count; k++) {
            if (families[i].ids[k] == device) {
                return families[i].family;
            }
        }
    }
    return NIC_UNKNOWN;
}

bool nic_shows_intx(enum nic_family family)
{
    return family != NIC_I40E;
}

uint32_t nic_reach(enum nic_family family)
{
    return family == NIC_I40E ? I40E_PFINT_ICR0_ENA + 4 : IGB_EICR + 4;
}

bool nic_answers(enum nic_family family, uint32_t registers)
{
    uint32_t offset = family == NIC_I40E ? I40E_PFINT_DYN_CTL0 : E1000_STATUS;
    return mem_read32(registers + offset) != 0xffffffff;
}

/* Causes clear on reading, on some members only while unmasked, and on writing ones on others: do both. */
static void silence_e1000(uint32_t registers, uint32_t mask_clear, uint32_t cause)
{
    mem_write32(registers + mask_clear, 0xffffffff);
    mem_read32(registers + cause);
    mem_write32(registers + cause, 0xffffffff);
    mem_read32(registers + cause);
}

static void silence_i40e(uint32_t registers)
{
    mem_write32(registers + I40E_PFINT_ICR0_ENA, 0);
    mem_write32(registers + I40E_PFINT_DYN_CTL0, DYN_CTL_ITR_NONE | DYN_CTL_CLEARPBA);
    mem_read32(registers + I40E_PFINT_ICR0);
    mem_write32(registers + I40E_PFINT_DYN_CTL0, DYN_CTL_ITR_NONE);
}

void nic_silence(enum nic_family family, uint32_t registers)
{
    switch (family) {
    case NIC_E1000: silence_e1000(registers, E1000_IMC, E1000_ICR); break;
    case NIC_IGB:
        mem_write32(registers + IGB_EIMC, 0xffffffff);
        mem_read32(registers + IGB_EICR);
        silence_e1000(registers, E1000_IMC, E1000_ICR);
        break;
    case NIC_I40E: silence_i40e(registers); break;
    case NIC_UNKNOWN: break;
    }
    nic_answers(family, registers); /* a read waits until the writes before it have arrived */
}

void nic_fire(enum nic_family family, uint32_t registers)
{
    switch (family) {
    case NIC_E1000:
        mem_write32(registers + E1000_IMS, CAUSE_RXDMT0);
        mem_write32(registers + E1000_ICS, CAUSE_RXDMT0);
        break;
    case NIC_IGB:
        mem_write32(registers + IGB_GPIE, 0);
        mem_write32(registers + E1000_IMS, CAUSE_RXDMT0);
        mem_write32(registers + E1000_ICS, CAUSE_RXDMT0);
        break;
    case NIC_I40E:
        mem_write32(registers + I40E_PFINT_DYN_CTL0, DYN_CTL_INTENA | DYN_CTL_SWINT_TRIG | DYN_CTL_ITR_NONE |
                                                         DYN_CTL_SW_ITR_INDX_ENA | DYN_CTL_SW_ITR_NONE);
        break;
    case NIC_UNKNOWN: break;
    }
    nic_answers(family, registers);
}
