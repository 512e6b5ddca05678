/* The two multiboot headers and the entry point, which both protocols share. */

    .section .multiboot, "a"

/* Multiboot 0.6.96, 3.1: flags 3 = modules page aligned, memory information wanted, as seL4's header. */
    .set MB1_MAGIC, 0x1badb002
    .set MB1_FLAGS, 0x00000003
    .balign 4
    .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

/* Multiboot2 2.0, 3.1: i386 protected mode, no optional tags, so boot services end before we start. */
    .set MB2_MAGIC, 0xe85250d6
    .set MB2_LENGTH, mb2_end - mb2_start
    .balign 8
mb2_start:
    .long MB2_MAGIC, 0, MB2_LENGTH, -(MB2_MAGIC + MB2_LENGTH)
    .short 0, 0         /* end tag */
    .long 8
mb2_end:

/* Machine state (Multiboot 3.2, Multiboot2 3.3): protected mode, flat segments, no paging, interrupts
   off; EAX holds the protocol's magic, EBX the information. There is no stack, and no GDT of ours: a program
   that loads a segment or takes an interrupt brings one. It starts at image_main(magic, information). */
    .text
    .globl _start
    .type _start, @function
_start:
    cli
    cld
    movl $stack_top, %esp
    xorl %ebp, %ebp
    pushl $0            /* keeps the stack 16-byte aligned at the call (i386 psABI 2.2.2) */
    pushl $0
    pushl %ebx
    pushl %eax
    call image_main
1:  cli
    hlt
    jmp 1b

    .bss
    .balign 16
    .skip 16384
stack_top:

    .section .note.GNU-stack, "", @progbits
