vm0.guest_ram_mb = 256;
vm0.kernel_relocs = "";
