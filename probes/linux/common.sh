# shellcheck shell=sh
# What the ramdisks of bringup share: words on the console, drivers, an address, sending a file. Read by each init,
# whose `who` is the name that its words carry.
SEND_S=60

# Nothing is mounted but the kernel's own file systems.
start_up() {
    /bin/busybox --install -s /bin
    mount -t devtmpfs none /dev
    exec </dev/console >/dev/console 2>&1
    trap idle EXIT
    mount -t proc none /proc
    mount -t sysfs none /sys
    mount -t tmpfs -o size=50% none /tmp

    echo
    say "started"
}

say() {
    # shellcheck disable=SC2154  # each init says who it is
    echo "bringup $who: $*"
}

# What went wrong on the way; the capture may still come through.
trouble() {
    say "trouble: $*"
}

idle() {
    while :; do sleep 3600; done
}

setting() {
    # shellcheck disable=SC2013  # the words of one line
    for word in $(cat /proc/cmdline); do
        case $word in "bringup.$1="*) echo "${word#*=}" ;; esac
    done
}

# Twice: a driver of a bus finds devices of that bus.
load_drivers() {
    # shellcheck disable=SC2034  # nobody reads the number of the round
    for round in 1 2; do
        aliases=$(cat /sys/bus/*/devices/*/modalias 2>/dev/null | sort -u)
        # shellcheck disable=SC2086  # an alias is one word
        modprobe -a -q $aliases 2>/dev/null
    done
}

# A driver asks for its interrupt when its port is brought up, and only then /proc/interrupts tells of it.
bring_up() {
    for port in /sys/class/net/*; do
        ip link set "${port##*/}" up 2>/dev/null
    done
}

# Prints the ports with the MACs of the command line, in their order.
boot_ports() {
    IFS=,
    # shellcheck disable=SC2154  # each init reads its command line
    for mac in $macs; do
        for port in /sys/class/net/*; do
            [ "$(cat "$port/address")" != "$mac" ] || echo "${port##*/}"
        done
    done
    unset IFS
}

# SECONDS PORT...: wait until one of the ports has a link
wait_for_link() {
    polls=$(($1 * 5))
    shift
    while [ "$polls" -gt 0 ]; do
        for port; do
            [ "$(cat "/sys/class/net/$port/carrier" 2>/dev/null)" != 1 ] || return 0
        done
        sleep 0.2
        polls=$((polls - 1))
    done
    return 1
}

# TRIES PORT...: an address by DHCP on the first of the ports that gets one
get_address() {
    tries=$1
    shift
    for port; do
        [ "$(cat "/sys/class/net/$port/carrier" 2>/dev/null)" = 1 ] || continue
        say "asking for an address on $port"
        if udhcpc -i "$port" -n -q -f -t "$tries" -T 2 -s /lease.sh >/tmp/udhcpc 2>&1; then
            return 0
        fi
    done
    return 1
}

# URL FILE SHA256: one PUT of a file; the answer goes to /tmp/answer. busybox wget would end the body at its first
# NUL.
put() {
    server=${1#http://}
    path=/${server#*/}
    server=${server%%/*}
    case $server in *:*) port=${server##*:} ;; *) port=80 ;; esac
    # Held open until the server has answered: an early end of our side would be taken for a broken one.
    rm -f /tmp/request
    mkfifo /tmp/request
    timeout "$SEND_S" nc "${server%:*}" "$port" </tmp/request >/tmp/answer 2>&1 &
    # Whoever ends just now interrupts the opening, and process 1 is told of everybody who does.
    opened=
    tries=20
    while [ -z "$opened" ] && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        {
            opened=1
            printf 'PUT %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' "$path" "$server"
            printf 'X-Bringup-Sha256: %s\r\nContent-Length: %s\r\n\r\n' "$3" "$(stat -c %s "$2")"
            cat "$2"
            wait $!
        } >/tmp/request
    done
}

