#!/bin/busybox sh
# What udhcpc runs when something happens to its lease (busybox networking/udhcp): takes the address.
# shellcheck disable=SC2154  # interface, ip, mask and router are udhcpc's; who is the init's
case $1 in
deconfig)
    ip address flush dev "$interface"
    ;;
bound | renew)
    ip address add "$ip/${mask:-24}" dev "$interface"
    for gateway in $router; do
        ip route add default via "$gateway" dev "$interface"
        break
    done
    echo "bringup $who: $interface has $ip" >/dev/console
    ;;
esac
