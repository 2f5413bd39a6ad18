//! Preconditioners picked by name, for commands and bindings.

use dolmen_core::{CsrMatrix, LinearOperator, Scalar};

use crate::error::Result;
use crate::precond::block_jacobi::BlockJacobi;
use crate::precond::chebyshev::ChebyshevPolynomial;
use crate::precond::direct::Direct;
use crate::precond::equilibrated::Equilibrated;
use crate::precond::ic::Ic;
use crate::precond::ilu::Ilu;
use crate::precond::ilut::Ilut;
use crate::precond::jacobi::Jacobi;
use crate::precond::lu::Lu;
use crate::precond::schwarz::{AdditiveSchwarz, Schwarz};
use crate::precond::sor::{Sor, Sweep};

/// Declares the list of names and the function that knows them.
macro_rules! by_name {
    ($(#[$doc:meta])* $list:ident, $(#[$more:meta])* $function:ident($a:ident): $($name:literal, $title:literal => $make:expr;)*) => {
        $(#[$doc])*
        pub const $list: &[(&str, &str)] = &[$(($name, $title)),*];

        $(#[$more])*
        pub fn $function<'a, T: Scalar>(
            name: &str,
            $a: &'a CsrMatrix<T>,
        ) -> Option<Result<Box<dyn LinearOperator<T> + 'a>>> {
            match name {
                $($name => Some(boxed($make)),)*
                _ => None,
            }
        }
    };
}

fn boxed<'a, T: Scalar>(made: Result<impl LinearOperator<T> + 'a>) -> Result<Box<dyn LinearOperator<T> + 'a>> {
    Ok(Box::new(made?))
}

by_name! {
    /// The names that [`preconditioner_by_name`] knows, each with what it stands for.
    PRECONDITIONERS,
    /// A preconditioner of `a` with its settings as the list of [`PRECONDITIONERS`] says; `None` for a name
    /// that is not in it.
    ///
    /// # Collective
    ///
    /// # Errors
    /// As the constructor of the preconditioner: a row that it cannot deal with; the same on all ranks.
    preconditioner_by_name(a):
    "jacobi", "division by the diagonal" => Jacobi::new(a);
    "sor", "a sweep of Gauss and Seidel on each rank's rows" => BlockJacobi::new(a, |block| Sor::new(block, Sweep::Forward, 1.0, 1));
    "ssor", "a symmetric sweep of Gauss and Seidel on each rank's rows" => BlockJacobi::new(a, |block| Sor::new(block, Sweep::Symmetric, 1.0, 1));
    "ic", "IC(0) of each rank's block" => BlockJacobi::new(a, Ic::new);
    "ilu", "ILU(0) of each rank's block" => BlockJacobi::new(a, |block| Ilu::new(block, 0));
    "ilut", "ILUT(1e-3, 10) of each rank's block, its rows and columns scaled" => BlockJacobi::new(a, |block| Equilibrated::new(block, |block| Ilut::new(block, 1e-3, 10)));
    "block-jacobi", "LU of each rank's block" => BlockJacobi::new(a, Lu::new);
    "schwarz", "ILU(0) of each rank's block with an overlap of one, restricted" => AdditiveSchwarz::new(a, 1, Schwarz::Restricted, |block| Ilu::new(block, 0));
    "chebyshev", "Chebyshev polynomial of degree 4" => ChebyshevPolynomial::new(a, 4);
    "direct", "LU of the whole matrix on one rank" => Direct::factor(a);
}
