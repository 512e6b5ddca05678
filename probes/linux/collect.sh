#!/bin/sh
# Collects what this Linux knows of its PCI functions and interrupts into one file, for `bringup probe-pci
# --from FILE`. Made by bringup VERSION.
#
#   sh collect.sh [-o FILE]      FILE "-" is standard output: ssh HOST sh -s -- -o - <collect.sh >FILE
#
# Run it as root: for other users the kernel shows 64 bytes of each config space, no ACPI table and no address.
# It reads, and writes nothing but FILE and a folder of its own below $TMPDIR, which it removes again. The files
# resource0 to resource5 and rom of a function are not read, because reading them reads the device itself.
#
# The tar.gz holds the files at their own paths; besides them:
#   cmd/NAME     what a program printed
#   manifest     what was looked for; a name listed here and not in the tar does not exist on this machine
#   missing      what is there and could not be read, with the reason: PATH, a tab, REASON
#   SHA256SUMS   of every other file
# A folder of which only the names matter is a text file with one name a line.
set -u
LC_ALL=C
PATH=${PATH:-/bin:/usr/bin}:/usr/sbin:/sbin
export LC_ALL PATH
umask 077

fail() {
    printf 'collect: %s\n' "$1" >&2
    exit "${2:-1}"
}

out=bringup-capture-$(date -u +%Y-%m-%dT%H%M%SZ).tar.gz
root=/
while getopts o:r: option; do
    case $option in
    o) out=$OPTARG ;;
    r) root=$OPTARG ;; # another root than this machine's: for tests
    *) fail "usage: sh collect.sh [-o FILE]" 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || fail "usage: sh collect.sh [-o FILE]" 2
case $out in
- | /*) ;;
*) out=$PWD/$out ;;
esac
[ -d "$root/sys/bus/pci/devices" ] || fail "no /sys/bus/pci/devices: this is no Linux with PCI, or /sys is not mounted"
[ ! -d "$out" ] || fail "$out is a folder: name a file" 2

work=$(mktemp -d) || fail "cannot make a folder in ${TMPDIR:-/tmp}"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM
tree=$work/tree
mkdir "$tree" "$tree/cmd" || fail "cannot write in $work"
: >"$tree/missing"
cd "$root" || fail "cannot enter $root"

count=0

# PATH: why the last program failed, without the names it puts before the reason
note() {
    error=$(tr '[:upper:]' '[:lower:]' <"$work/error")
    error=${error##*: }
    [ "$error" != "no such file or directory" ] || return 0 # it went away while we looked
    printf '%s\t%s\n' "$1" "${error:-unreadable}" >>"$tree/missing"
}

# PATH: make the folder that PATH will lie in
folder() {
    [ -d "$tree/${1%/*}" ] || mkdir -p "$tree/${1%/*}" || fail "cannot write in $work: is it full?"
}

# PATH...: the bytes of each
take_file() {
    for path; do
        [ -f "$path" ] || continue
        folder "$path"
        # cat and not cp: some versions of cp believe the sizes that these files claim.
        if cat "$path" >"$tree/$path" 2>"$work/error"; then
            count=$((count + 1))
        else
            rm -f "$tree/$path"
            note "$path"
        fi
    done
}

# PATH...: each symbolic link as it is
take_link() {
    for path; do
        [ -L "$path" ] || continue
        folder "$path"
        cp -P "$path" "$tree/$path" 2>"$work/error" || note "$path"
    done
}

# FOLDER...: the names in each; where files of it were taken, the tree has its names already
take_list() {
    for path; do
        if [ ! -d "$path" ] || [ -d "$tree/$path" ]; then
            continue
        fi
        folder "$path"
        if ls -A "$path" >"$tree/$path" 2>"$work/error"; then
            count=$((count + 1))
        else
            rm -f "$tree/$path"
            note "$path"
        fi
    done
}

# cmd/NAME PROGRAM ARG...: what the program prints
take_command() {
    path=$1
    shift
    command -v "$1" >/dev/null || return 0
    if "$@" >"$tree/$path" 2>"$work/error"; then
        count=$((count + 1))
    else
        rm -f "$tree/$path"
        note "$path"
    fi
}

# STEPS

cat >"$tree/manifest" <<'END'
# MANIFEST
END

cd "$tree" || fail "cannot enter $tree"
if command -v sha256sum >/dev/null; then
    find . -type f -exec sha256sum {} + >"$work/sums" && mv "$work/sums" SHA256SUMS
else
    printf 'SHA256SUMS\tno program sha256sum\n' >>missing
fi
if ! tar -cf "$work/tar" . || ! gzip -9 "$work/tar"; then
    fail "cannot pack the capture in $work: is it full?"
fi
# Not moved there: FILE may be a pipe, or on another file system.
if [ "$out" = - ]; then
    cat "$work/tar.gz" || fail "cannot write the capture to standard output"
elif ! cat "$work/tar.gz" >"$out"; then
    rm -f "$out"
    fail "cannot write $out"
fi

missing=$(wc -l <missing)
printf 'collect: %d files in %s, %d could not be read\n' "$count" "$out" "$missing" >&2
if [ "$(id -u)" -ne 0 ]; then
    printf 'collect: you are not root, so there are no capabilities, ACPI tables or addresses: use sudo\n' >&2
fi
