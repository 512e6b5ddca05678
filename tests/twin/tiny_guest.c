/* Runs a guest of four instructions through KVM and says what it wrote: proof that the VT-x below is used. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* mov dx,0x3f8; add al,bl; add al,'0'; out dx,al; hlt (16-bit) */
static const unsigned char code[] = {0xba, 0xf8, 0x03, 0x00, 0xd8, 0x04, '0', 0xee, 0xf4};

static int fail(const char *what)
{
    perror(what);
    return 1;
}

int main(void)
{
    int kvm = open("/dev/kvm", O_RDWR), vm = ioctl(kvm, KVM_CREATE_VM, 0L), vcpu;
    unsigned char *memory = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region region = {.guest_phys_addr = 4096, .memory_size = 4096,
                                                 .userspace_addr = (unsigned long)memory};
    struct kvm_regs regs = {.rip = 4096, .rax = 2, .rbx = 2, .rflags = 2};
    struct kvm_sregs sregs;
    struct kvm_run *run;
    int wrote = 0;

    if (kvm < 0 || vm < 0)
        return fail("/dev/kvm");
    memcpy(memory, code, sizeof code);
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) || (vcpu = ioctl(vm, KVM_CREATE_VCPU, 0L)) < 0)
        return fail("vcpu");
    run = mmap(0, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0L), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    ioctl(vcpu, KVM_GET_SREGS, &sregs);
    sregs.cs.base = sregs.cs.selector = 0;
    ioctl(vcpu, KVM_SET_SREGS, &sregs);
    ioctl(vcpu, KVM_SET_REGS, &regs);
    while (ioctl(vcpu, KVM_RUN, 0L) == 0) {
        if (run->exit_reason == KVM_EXIT_IO)
            wrote = *((unsigned char *)run + run->io.data_offset);
        else if (run->exit_reason == KVM_EXIT_HLT)
            return printf("tiny guest wrote %c and halted\n", wrote) < 0;
        else
            return printf("tiny guest left with reason %u\n", run->exit_reason), 1;
    }
    return fail("run");
}
