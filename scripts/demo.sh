#!/usr/bin/env bash
# The demo: simulate a detector's timeline once, make maps of it on two ranks, and solve a linear system.
# DOLMEN_SKY names a HEALPix FITS sky map to observe instead of the WMAP map of healpy's data.
# DOLMEN_PROFILE=dev takes the programs as the tests have compiled them, which are slower.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh

sky=${DOLMEN_SKY:-/usr/share/healpy/test/data/wmap_band_iqumap_r9_7yr_V_v4_udgraded32.fits}
settings=examples/mapmaker/demo.toml
tod=out/demo/tod.h5
record=out/demo/tod.sky.txt   # which sky the timeline saw
case ${DOLMEN_PROFILE:-release} in
    release) build=(--release -p dolmen-mapmaker -p dolmen-command) programs=$target_dir/release ;;
    dev) build=(--workspace --bin mapmaker --bin dolmen) programs=$target_dir/debug ;;
    *)
        echo "demo: DOLMEN_PROFILE=$DOLMEN_PROFILE is not known: use release or dev" >&2
        exit 2
        ;;
esac
mapmaker=$programs/mapmaker

if [ -n "${DOLMEN_SKY:-}" ] && ! [ -e "$sky" ]; then
    echo "demo: DOLMEN_SKY=$sky does not exist" >&2
    exit 1
fi

echo "demo: building mapmaker and dolmen"
cargo build --quiet "${build[@]}"

if [ -e "$sky" ]; then
    seen=$sky
    from=(--sky "$sky")
    echo "demo: the sky is $sky"
else
    seen="a synthetic sky"
    from=()
    echo "demo: no sky map at $sky (Debian: healpy-data); the sky is a synthetic one"
fi

# A finished timeline of the same settings and the same sky is used again.
is_current() {
    [ -e "$tod" ] && [ "$(cat "$record" 2>/dev/null)" = "$seen" ] &&
        ! [ "$settings" -nt "$tod" ] && ! { [ -e "$sky" ] && [ "$sky" -nt "$tod" ]; }
}

mkdir -p out/demo
if is_current; then
    echo "demo: $tod is there already"
else
    echo "demo: simulating a timeline"
    rm -f "$record"
    scripts/mpirun.sh -n 1 "$mapmaker" simulate "$settings" "${from[@]}" --output "$tod"
    echo "$seen" >"$record"
fi

echo "demo: making maps on 2 ranks"
scripts/mpirun.sh -n 2 "$mapmaker" run "$settings" --output out/demo

echo "demo: solving a linear system on 2 ranks"
scripts/mpirun.sh -n 2 "$programs/dolmen" solve examples/dolmen/plate.mtx --output out/demo/x.h5

echo "demo: done; maps, pictures and report.html are in out/demo, the programs in ${programs#"$PWD/"}"
