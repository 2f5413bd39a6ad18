//! Enumerations whose variants have names that users write.

use dolmen_core::text::most_alike;

/// Likeness, of one at most, from which a known name is offered for an unknown one.
const ALIKE: f64 = 0.7;

/// Declares an enumeration with a name for each variant, and writes these names.
macro_rules! names {
    ($(#[$doc:meta])* $kind:ident: $($(#[$about:meta])* $variant:ident = $name:literal,)*) => {
        $(#[$doc])*
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $kind {
            $($(#[$about])* $variant,)*
        }

        impl $kind {
            /// All variants, in the order in which lists name them.
            pub const ALL: &[$kind] = &[$($kind::$variant),*];

            /// Returns the name, as settings write it.
            pub const fn name(self) -> &'static str {
                match self {
                    $($kind::$variant => $name,)*
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        dolmen_core::portable!($kind { $($variant),* });
    };
}
pub(super) use names;

/// Returns the known name that is most like an unknown one, if it is like it at all.
pub(super) fn nearest(unknown: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    most_alike(unknown, known).filter(|(_, likeness)| *likeness >= ALIKE).map(|(name, _)| name)
}
