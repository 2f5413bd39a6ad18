//! Preconditioners that are another operator under a name that says what they are for.

/// Makes a type the operator that it holds.
macro_rules! forward {
    ($name:ident to $inner:ident) => {
        impl<T: dolmen_core::Scalar> dolmen_core::LinearOperator<T> for $name<T> {
            fn domain(&self) -> &dolmen_core::Layout {
                self.$inner.domain()
            }

            fn range(&self) -> &dolmen_core::Layout {
                self.$inner.range()
            }

            fn compute(&self, x: &dolmen_core::Vector<T>, y: &mut dolmen_core::Vector<T>) -> dolmen_core::Result<()> {
                self.$inner.compute(x, y)
            }

            fn diagonal(&self) -> Option<dolmen_core::Vector<T>> {
                self.$inner.diagonal()
            }

            fn as_diagonal(&self) -> Option<&dolmen_core::Vector<T>> {
                self.$inner.as_diagonal()
            }
        }

        impl<T: dolmen_core::Scalar> dolmen_core::AdjointOperator<T> for $name<T> {
            fn compute_adjoint(
                &self,
                x: &dolmen_core::Vector<T>,
                y: &mut dolmen_core::Vector<T>,
            ) -> dolmen_core::Result<()> {
                self.$inner.compute_adjoint(x, y)
            }
        }
    };
}
pub(super) use forward;
