//! Texts of settings: what is read is written, and what is wrong is told.

use std::path::Path;

use dolmen_core::{AdjointOperator, LinearOperator, Vector};
use dolmen_solvers::{
    AdditiveSchwarz, BlockJacobi, ChebyshevPolynomial, Direct, Equilibrated, Error, Factorization, Ic, Ilu, Ilut, Key,
    Ldlt, LocalKind, LocalSettings, Method, MethodSettings, Multiplicative, PreconditionerKind, PreconditionerSettings,
    Schwarz, Settings, SolverChoice, Sor, Sweep,
};
use dolmen_tests::{Comm, TestResult};

use crate::choices::{right_hand_side, tridiagonal};

fn written<S: std::str::FromStr<Err = Error> + std::fmt::Display>(text: &str) -> String {
    text.parse::<S>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

pub(crate) fn methods_are_read_as_they_are_written() -> TestResult {
    for &method in Method::ALL {
        assert_eq!(written::<MethodSettings>(method.name()), method.name());
    }
    for (text, expected) in [
        ("gmres(restart=50)", "gmres(restart=50)"),
        ("gmres(50, left)", "gmres(restart=50, side=left)"),
        ("gmres( side = right )", "gmres"),
        ("fgmres(30)", "fgmres"),
        ("gcr(restart=7)", "gcr(restart=7)"),
        ("idr(8)", "idr(shadow_dimension=8)"),
        ("chebyshev(lower=0.5, upper=8, 20)", "chebyshev(lower=0.5, upper=8.0, estimate_steps=20)"),
        ("richardson(0.7)", "richardson(damping=0.7)"),
    ] {
        assert_eq!(written::<MethodSettings>(text), expected);
        assert_eq!(written::<MethodSettings>(expected), expected);
    }
    Ok(())
}

pub(crate) fn preconditioners_are_read_as_they_are_written() -> TestResult {
    for &kind in PreconditionerKind::ALL {
        let settings = PreconditionerSettings::from(kind);
        assert_eq!((settings.kind(), settings.to_string().as_str()), (kind, kind.name()));
    }
    for &kind in LocalKind::ALL {
        assert_eq!(written::<LocalSettings>(kind.name()), kind.name());
    }
    for (text, expected) in [
        ("ilu(2)", "ilu(level=2)"),
        ("block-jacobi(ilu(2))", "ilu(level=2)"),
        ("block-jacobi(local=cholesky)", "block-jacobi(cholesky)"),
        ("ilut(1e-4, 20, scaled=no)", "ilut(drop=0.0001, fill=20, scaled=no)"),
        ("sor(backward, omega=1.5)", "sor(sweep=backward, omega=1.5)"),
        ("ssor(1.2, 2)", "ssor(omega=1.2, sweeps=2)"),
        ("schwarz(overlap=1, ilu(2))", "schwarz(ilu(level=2))"),
        ("schwarz(2, symmetric, ic)", "schwarz(overlap=2, form=symmetric, ic)"),
        ("chebyshev(6, lower=0.1, upper=2)", "chebyshev(degree=6, lower=0.1, upper=2.0)"),
        ("direct(ldlt)", "direct(factorization=ldlt)"),
        ("point-block-jacobi(3)", "point-block-jacobi(order=3)"),
        ("additive(jacobi, schwarz(2))", "additive(jacobi, schwarz(overlap=2))"),
        ("multiplicative(ssor, none, ssor)", "multiplicative(ssor, none, ssor)"),
    ] {
        assert_eq!(written::<PreconditionerSettings>(text), expected);
        assert_eq!(written::<PreconditionerSettings>(expected), expected);
    }
    let typed = PreconditionerSettings::Schwarz {
        overlap: 1,
        form: Schwarz::Restricted,
        local: LocalSettings::Ilu { level: 2 },
    };
    assert_eq!("schwarz(overlap=1, ilu(2))".parse(), Ok(typed));
    let typed = LocalSettings::Sor { sweep: Sweep::Backward, omega: 1.5, sweeps: 1 };
    assert_eq!("sor(backward, 1.5)".parse(), Ok(typed));
    Ok(())
}

pub(crate) fn a_choice_is_a_method_and_perhaps_a_preconditioner() -> TestResult {
    let text = "gmres(restart=50), schwarz(ilu(level=2))";
    assert_eq!(written::<SolverChoice>("gmres(restart=50), schwarz(overlap=1, ilu(2))"), text);
    assert_eq!(written::<SolverChoice>("cg"), "cg");
    let direct = PreconditionerSettings::Direct { factorization: Factorization::Cholesky };
    let mut choice: SolverChoice = "direct(cholesky)".parse()?;
    assert_eq!(choice, SolverChoice { method: Method::Gmres.into(), preconditioner: Some(direct.clone()) });
    assert_eq!(choice.precondition(direct.clone()), Ok(()));
    let refused = choice.precondition(PreconditionerSettings::Jacobi).unwrap_err();
    let expected = "two preconditioners are named, direct(factorization=cholesky) and jacobi; name one, or \
                    additive(direct(factorization=cholesky), jacobi)";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(choice.preconditioner, Some(direct));
    Ok(())
}

pub(crate) fn what_is_wrong_with_a_text_is_told() -> TestResult {
    for (text, expected) in [
        ("gmres(restrat=50)", "gmres has no key \"restrat\"; did you mean \"restart\"? Its keys are restart, side"),
        ("gmres(yes)", "gmres has no key \"yes\"; its keys are restart, side"),
        ("cg(3)", "cg takes no arguments, so not \"3\"; leave it out"),
        ("gmres(1, 2)", "gmres has no key \"2\"; its keys are restart, side"),
        ("gmres(restart=1, restart=2)", "gmres: restart is \"2\", expected this key to be given once"),
        ("gmres(restart=2.5)", "gmres: restart is \"2.5\", expected a whole number of zero or more"),
        ("gmres(-3)", "gmres: restart is \"-3\", expected a whole number of zero or more"),
        ("gmres(side=top)", "gmres: side is \"top\", expected one of left, right"),
        ("chebyshev(lower=1)", "chebyshev: lower is \"1.0\", expected upper to be given as well"),
        ("chebyshev(lower=x, upper=2)", "chebyshev: lower is \"x\", expected a number"),
        ("gmres(restart=0)", "GMRES: restart is 0, expected one or more"),
        ("idr(0)", "IDR(s): shadow_dimension is 0, expected one or more"),
        ("chebyshev(0)", "Chebyshev: estimate_steps is 0, expected one or more"),
        ("chebyshev(lower=2, upper=1)", "Chebyshev: largest eigenvalue is 1, expected no less than the smallest"),
        ("richardson(0)", "Richardson: damping is 0, expected a number other than zero"),
        (
            "gmres(30",
            "\"gmres(30\": expected a comma or a closing parenthesis at character 9; write name(value, key=value)",
        ),
        (
            "gmres, jacobi, ilu",
            "\"gmres, jacobi, ilu\": expected a method and a preconditioner only at character 16; write name(value, key=value)",
        ),
    ] {
        assert_eq!(text.parse::<SolverChoice>().unwrap_err().to_string(), expected);
    }
    for (text, expected) in [
        ("schwarz(ill(2))", "there is no local solver named \"ill\"; did you mean \"ilu\"? Known are sor, ssor, ic,"),
        (
            "additive(jacobi, jacob)",
            "there is no preconditioner named \"jacob\"; did you mean \"jacobi\"? Known are none,",
        ),
        ("sor(omega=2)", "SOR: omega is 2, expected more than zero and less than two"),
        ("schwarz(ssor(sweeps=0))", "SOR: sweeps is 0, expected one or more"),
        ("ilut(-1)", "ILUT: drop is -1, expected zero or more"),
        ("chebyshev(0)", "Chebyshev polynomial: degree is 0, expected one or more"),
        ("chebyshev(lower=2, upper=1)", "Chebyshev polynomial: lower end of the interval is 2, expected between zero"),
        ("additive", "additive composition: number of parts is 0, expected one or more"),
        ("point-block-jacobi(0)", "point-block Jacobi: order is 0, expected one or more"),
        ("ilu, ilu", "\"ilu, ilu\": expected one name with its arguments in parentheses at character 1"),
    ] {
        let error = text.parse::<PreconditionerSettings>().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    Ok(())
}

/// The page has a row for each name, with its keys and their defaults.
pub(crate) fn the_page_is_complete() -> TestResult {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/choosing.md"))?;
    let row = |name: &str, keys: Vec<Key>| {
        let keys = keys.into_iter().filter(|key| !key.name.is_empty());
        let texts: Vec<String> = keys
            .map(
                |Key { name, value, .. }| {
                    if value.is_empty() { format!("`{name}`") } else { format!("`{name}={value}`") }
                },
            )
            .collect();
        format!("| `{name}` | {} |", texts.join(", "))
    };
    let methods = Method::ALL.iter().map(|&kind| row(kind.name(), MethodSettings::from(kind).keys()));
    let preconditioners = PreconditionerKind::ALL.iter();
    let preconditioners = preconditioners.map(|&kind| row(kind.name(), PreconditionerSettings::from(kind).keys()));
    let locals = LocalKind::ALL.iter().map(|&kind| row(kind.name(), LocalSettings::from(kind).keys()));
    for row in methods.chain(preconditioners).chain(locals) {
        assert!(page.contains(&row), "docs/choosing.md has no row that begins with\n{row}");
    }
    Ok(())
}

/// A solver made from a text has the bits of one made by the constructors.
pub(crate) fn a_text_makes_what_constructors_make(comm: &Comm) -> TestResult {
    let a = &tridiagonal(comm, 60, -1.0, |i| 2.5 + 0.25 * f64::from(u8::from(i % 3 == 0)), -1.0)?;
    let b = right_hand_side(a)?;
    type Made<'a> = Box<dyn AdjointOperator<f64> + 'a>;
    let expected: Vec<(&str, Made<'_>)> = vec![
        ("ilu(2)", Box::new(BlockJacobi::new(a, |block| Ilu::new(block, 2))?)),
        ("ilut(0.01, 3)", Box::new(BlockJacobi::new(a, |b| Equilibrated::new(b, |b| Ilut::new(b, 0.01, 3)))?)),
        ("ilut(0.01, 3, scaled=no)", Box::new(BlockJacobi::new(a, |block| Ilut::new(block, 0.01, 3))?)),
        ("sor(backward, 1.5, 2)", Box::new(BlockJacobi::new(a, |b| Sor::new(b, Sweep::Backward, 1.5, 2))?)),
        ("schwarz(2, symmetric, ic)", Box::new(AdditiveSchwarz::new(a, 2, Schwarz::Symmetric, Ic::new)?)),
        ("chebyshev(3)", Box::new(ChebyshevPolynomial::new(a, 3)?)),
        ("chebyshev(3, lower=0.1, upper=2)", Box::new(ChebyshevPolynomial::on_interval(a, 3, [0.1, 2.0])?)),
        ("direct(ldlt)", Box::new(Direct::factor_with(a, Ldlt::new)?)),
        (
            "multiplicative(ic, ic)",
            Box::new(Multiplicative::new(a, vec![BlockJacobi::new(a, Ic::new)?, BlockJacobi::new(a, Ic::new)?])?),
        ),
    ];
    for (text, expected) in expected {
        let made = text.parse::<PreconditionerSettings>()?.make(a)?.ok_or("none")?;
        let [mut found, mut wanted] = [Vector::zeros(a.domain()), Vector::zeros(a.domain())];
        made.apply(&b, &mut found)?;
        expected.apply(&b, &mut wanted)?;
        assert_eq!(found.owned(), wanted.owned(), "{text}");
        made.apply_adjoint(&b, &mut found)?;
        expected.apply_adjoint(&b, &mut wanted)?;
        assert_eq!(found.owned(), wanted.owned(), "{text}, adjoint");
    }
    let mut x = Vector::zeros(a.domain());
    let few = "gmres(restart=2)".parse::<MethodSettings>()?.solver(Settings::new())?.solve(a, &b, &mut x)?;
    x.fill(0.0);
    let many = Method::Gmres.solver(Settings::new())?.solve(a, &b, &mut x)?;
    assert!(few.converged() && many.converged() && few.iterations > many.iterations, "{few}\n{many}");
    Ok(())
}
