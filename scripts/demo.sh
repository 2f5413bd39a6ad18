#!/usr/bin/env bash
# The demo: simulate a detector's timeline once, then make maps of it on two ranks.
# DOLMEN_SKY names a HEALPix FITS sky map to observe instead of the WMAP map of healpy's data.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh

sky=${DOLMEN_SKY:-/usr/share/healpy/test/data/wmap_band_iqumap_r9_7yr_V_v4_udgraded32.fits}
settings=examples/mapmaker/demo.toml
tod=out/demo/tod.h5
mapmaker=$target_dir/release/mapmaker

if [ -n "${DOLMEN_SKY:-}" ] && ! [ -e "$sky" ]; then
    echo "demo: DOLMEN_SKY=$sky does not exist" >&2
    exit 1
fi

cargo build --release --quiet -p dolmen-mapmaker

mkdir -p out/demo
# A timeline that is there is of the sky that is named beside it.
[ -e "$sky" ] && scanned=$sky || scanned=synthetic
if ! [ -e "$tod" ] || [ "$settings" -nt "$tod" ] || [ "$(cat out/demo/sky 2>/dev/null)" != "$scanned" ]; then
    # A simulation that was cut short must not be taken for a finished one next time.
    trap 'rm -f "$tod"' EXIT
    if [ -e "$sky" ]; then
        echo "demo: simulating a timeline of $sky"
        scripts/mpirun.sh -n 1 "$mapmaker" simulate "$settings" --sky "$sky" --output "$tod"
    else
        echo "demo: no sky map at $sky (Debian: healpy-data); simulating a synthetic sky"
        scripts/mpirun.sh -n 1 "$mapmaker" simulate "$settings" --output "$tod"
    fi
    trap - EXIT
    echo "$scanned" >out/demo/sky
else
    echo "demo: reusing the timeline of $scanned"
fi

echo "demo: making maps on 2 ranks"
scripts/mpirun.sh -n 2 "$mapmaker" run "$settings" --output out/demo
