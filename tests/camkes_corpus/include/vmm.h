// Written for these tests: macros of the shapes that a VM library's headers have.
#ifndef VMM_H
#define VMM_H

#define CAT(a, b) a ## b
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

#define VMM_INIT() \
    control; \
    uses Console putchar; \
    attribute string kernel_cmdline; \
    attribute int guest_ram_mb; \
    attribute int cnode_size_bits = 21; \
    attribute { int send_id; int recv_id; } serial_layout[] = []; \
    /**/

#define VMM_SHARED_INSTANCES() \
    component FileServer fserv; \
    component Clock clock;

#define VMM_INSTANCE(n) \
    component Init##n vm##n; \
    connection Call serial##n(from vm##n.putchar, to fserv.console);

#define VMM_SHARED_SETTINGS() \
    fserv.heap_size = 0x30000; \
    clock.priority = 255;

#define VMM_SETTINGS(n) \
    vm##n.simple = true; \
    vm##n.label = TEXT(n); \
    vm##n.base = 1 << 27;

#define EVENT_BADGE (134217728 | (1 << 19))
#define VMM_HANDLER(n) {"init": TEXT(CAT(make_, n)), "badge": EVENT_BADGE}
#define VMM_PAIR(a, b) {"drv": TEXT(vm##a.ether_##b##_send), "dev": TEXT(vm##b.ether_##a##_recv)},

#endif
