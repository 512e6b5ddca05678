/* One entry per vector, 16 bytes each, that leaves the same frame for all; see struct trap in traps.c. */

    .text
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    /* These exceptions push an error code (Intel SDM 3A, table 6-1). */
    .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21
    pushl $0
    .endif
    pushl $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    pusha
    cld
    pushl %esp
    call trap_handle
    addl $4, %esp
    popa
    addl $8, %esp
    iret

/* void trap_load(const struct pointer *segments, const struct pointer *gates) */
    .globl trap_load
trap_load:
    movl 4(%esp), %eax
    lgdt (%eax)
    movl 8(%esp), %eax
    lidt (%eax)
    ljmp $0x08, $1f
1:  movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    ret

    .section .note.GNU-stack, "", @progbits
