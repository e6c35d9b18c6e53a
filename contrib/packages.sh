# Sourced: install_packages KIND... installs what contrib/packages lists of these kinds, if anything is missing.
# Works as root, or through sudo; says what to do where neither is possible.
sudo=
install_packages() {
    list=$(for kind; do sed -n "s/^$kind //p" "$top/contrib/packages"; done)
    missing=
    for package in $list; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "tuimail: this is not a Debian system; install the counterparts of:$missing" >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "tuimail: as root, run: apt-get install$missing" >&2
            return 1
        fi
        sudo=sudo
    fi
    echo "tuimail: installing$missing" >&2
    $sudo apt-get update -q >/dev/null || echo "tuimail: apt-get update failed; going on with the lists there are" >&2
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null
}

# unpack_packages DIR: the files of the packages of kind unpack, without installing them.
unpack_packages() {
    for package in $(sed -n "s/^unpack //p" "$top/contrib/packages"); do
        [ -e "$1/$package.unpacked" ] && continue
        mkdir -p "$1" || return 1
        echo "tuimail: unpacking $package" >&2
        (cd "$1" && rm -f "$package"_*.deb &&
            { apt-get download -q "$package" >/dev/null 2>&1 ||
                { $sudo apt-get update -q >/dev/null && apt-get download -q "$package" >/dev/null; }; } &&
            dpkg-deb -x "$package"_*.deb . && rm -f "$package"_*.deb && : >"$package.unpacked") || return 1
    done
}

# build_in DIR CONFIGURE-ARGS...: configures once and builds there.
build_in() {
    dir=$1
    shift
    [ -x "$top/configure" ] || "$top/autogen.sh" >/dev/null 2>"$top/autogen.log" || { cat "$top/autogen.log" >&2; return 1; }
    rm -f "$top/autogen.log"
    mkdir -p "$dir"
    [ -f "$dir/Makefile" ] || (cd "$dir" && "$top/configure" -q "$@") || return 1
    echo "tuimail: building (a minute or so)" >&2
    make -s -C "$dir" -j"$(nproc 2>/dev/null || echo 2)" all >"$dir/build.log" 2>&1 || { tail -n 40 "$dir/build.log" >&2; return 1; }
}
