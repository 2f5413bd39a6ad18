# Sourced by the other scripts: which Python to use. The system's comes first, because it is
# the one that sees the distribution's healpy, h5py and astropy.

python=${PYTHON:-/usr/bin/python3}
if ! [ -x "$python" ] && ! command -v "$python" >/dev/null 2>&1; then
    python=python3
fi
