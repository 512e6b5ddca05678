#define POOL 20
#define HEAP 0x10000
