//! Looks for the libraries of the system before they are compiled against, so that a missing one is told in three
//! lines, with the package to install. The build scripts of other crates would end in a panic each. It looks where
//! they look: `mpicc -show`, pkg-config, the folders that clang-sys searches, and the linker. Cargo runs it as early as
//! it has a free core; with few of them another script may come, and panic, first.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Something that was not found.
struct Missing {
    name: &'static str,
    package: &'static str,
    /// The variable that names another installation, with its meaning.
    variable: &'static str,
}

fn main() -> ExitCode {
    let variables = ["MPICC", "HDF5_DIR", "LIBCLANG_PATH", "LLVM_CONFIG_PATH", "PKG_CONFIG_PATH", "LIBRARY_PATH", SKIP];
    variables.iter().for_each(|name| println!("cargo::rerun-if-env-changed={name}"));
    println!("cargo::rerun-if-changed=build.rs");
    // Elsewhere the libraries have other names and places.
    if env::var_os(SKIP).is_some() || env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return ExitCode::SUCCESS;
    }
    let missing = missing();
    if missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    let list = |part: fn(&Missing) -> &'static str| missing.iter().map(part).collect::<Vec<_>>();
    eprintln!("dolmen: not found on this system: {}", list(|missing| missing.name).join(", "));
    eprintln!("Debian, Ubuntu: apt-get install {}", list(|missing| missing.package).join(" "));
    let variables = list(|missing| missing.variable).join(", ");
    eprintln!("Elsewhere: load their modules, or set {variables}; {SKIP}=1 builds without this check.");
    ExitCode::FAILURE
}

const SKIP: &str = "DOLMEN_SKIP_CHECKS";

fn missing() -> Vec<Missing> {
    let mpicc = env::var("MPICC").unwrap_or_else(|_| "mpicc".into());
    let mpich = !prints(&mpicc, &["--showme:version"]).contains("Open MPI") && !prints(&mpicc, &["-show"]).is_empty();
    let mut missing = Vec::new();
    if !links_with_openblas() {
        let variable = "LIBRARY_PATH (the folder of libopenblas.so)";
        missing.push(Missing { name: "OpenBLAS (or a C compiler)", package: "gcc libopenblas-dev", variable });
    }
    if !compiles_mpi(&mpicc) {
        let package = if mpich { "libmpich-dev" } else { "libopenmpi-dev" };
        missing.push(Missing { name: "MPI", package, variable: "MPICC (its compiler wrapper)" });
    }
    if env::var_os("CARGO_FEATURE_HDF5").is_some() && !has_parallel_hdf5() {
        let package = if mpich { "libhdf5-mpich-dev pkg-config" } else { "libhdf5-openmpi-dev pkg-config" };
        missing.push(Missing { name: "HDF5 built for MPI", package, variable: "HDF5_DIR (its folder)" });
    }
    if !has_libclang() {
        let variable = "LIBCLANG_PATH (the folder of libclang.so)";
        missing.push(Missing { name: "libclang", package: "libclang-dev", variable });
    }
    missing
}

/// The standard output of a command; empty if it fails.
fn prints(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Returns true if the compiler accepts a C source.
fn compiles(compiler: &str, source: &str, arguments: &[&str]) -> bool {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("invariant: cargo sets OUT_DIR"));
    let file = folder.join("probe.c");
    if fs::write(&file, source).is_err() {
        return true;
    }
    let (program, first) = compiler.split_once(' ').map_or((compiler, None), |(program, rest)| (program, Some(rest)));
    let mut command = Command::new(program);
    command.args(first.into_iter().flat_map(str::split_whitespace)).arg(&file).args(arguments);
    command.arg("-o").arg(folder.join("probe")).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn compiles_mpi(mpicc: &str) -> bool {
    compiles(mpicc, "#include <mpi.h>\nint main(void) { return 0; }\n", &["-c"])
        || ["mpich", "openmpi"].iter().any(|name| !prints("pkg-config", &["--modversion", name]).is_empty())
}

fn links_with_openblas() -> bool {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    compiles(&compiler, "int main(void) { return 0; }\n", &["-lopenblas"])
}

fn has_parallel_hdf5() -> bool {
    let is_parallel = |folder: &Path| {
        ["H5pubconf.h", "H5pubconf-64.h"].iter().any(|name| {
            fs::read_to_string(folder.join(name)).is_ok_and(|text| text.contains("define H5_HAVE_PARALLEL 1"))
        })
    };
    if let Some(folder) = env::var_os("HDF5_DIR") {
        return is_parallel(&Path::new(&folder).join("include"));
    }
    let flags = prints("pkg-config", &["--cflags-only-I", "--keep-system-cflags", "hdf5"]);
    let mut named = flags.split_whitespace().filter_map(|flag| flag.strip_prefix("-I"));
    named.any(|folder| is_parallel(Path::new(folder))) || is_parallel(Path::new("/usr/include"))
}

/// Returns true if clang-sys, with which bindgen loads libclang, finds it. LLVM's libclang-cpp is another library.
fn has_libclang() -> bool {
    let mut folders: Vec<PathBuf> = env::var_os("LIBCLANG_PATH").map(PathBuf::from).into_iter().collect();
    if folders.iter().any(|path| path.is_file()) {
        return true;
    }
    let config = env::var("LLVM_CONFIG_PATH").unwrap_or_else(|_| "llvm-config".into());
    folders.extend(prints(&config, &["--libdir"]).lines().map(PathBuf::from));
    for parent in ["/usr/lib", "/usr/lib64", "/usr/local", "/opt/rh"] {
        folders.push(parent.into());
        let entries = fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path());
        folders.extend(entries.flat_map(|folder| [folder.join("lib"), folder.join("lib64"), folder]));
    }
    folders.extend(env::var_os("LD_LIBRARY_PATH").iter().flat_map(env::split_paths));
    let is_libclang = |name: &str| {
        let rest = name.strip_prefix("libclang").filter(|rest| rest.contains(".so"));
        rest.is_some_and(|rest| rest.starts_with(".so") || rest[1..].starts_with(|c: char| c.is_ascii_digit()))
    };
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    files.into_iter().any(|file| is_libclang(&file.file_name().to_string_lossy()))
}
