//! A few eigenvalues or singular values of distributed operators.

mod arrow;
mod automatic;
mod basis;
mod block;
mod general;
mod golub_kahan;
mod krylov_schur;
mod lanczos;
mod lobpcg;
mod problem;
mod projection;
mod region;
mod report;
mod search;
mod space;
mod watch;
mod which;

pub use automatic::{AutomaticEigen, EigenSolution};
pub use general::GeneralEigenpairs;
pub use golub_kahan::GolubKahan;
pub use krylov_schur::KrylovSchur;
pub use lanczos::Lanczos;
pub use lobpcg::Lobpcg;
pub use region::Region;
pub use report::{EigenReport, Eigenpairs, SingularTriplets};
pub use which::Which;
