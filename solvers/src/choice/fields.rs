//! The fields of settings, named once: the same list reads them from arguments, writes them and describes them.

use std::fmt;
use std::str::FromStr;

use crate::choice::grammar::{Argument, Call};
use crate::choice::names::nearest;
use crate::error::{Error, Result};

/// A key of the settings of a method, a preconditioner or a local solver.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key. Empty for parts that have none.
    pub name: &'static str,
    /// The text of its value, in the defaults if no others are at hand; empty if there is none.
    pub value: String,
    /// The values that it takes.
    pub expected: String,
    /// A value that is clear without its key.
    bare: bool,
}

/// Settings with a name and fields, such as `ilut(drop=1e-4, fill=20)`.
pub(super) trait Named: Sized + Clone {
    /// Returns the settings of this name with their defaults.
    fn with_defaults(name: &str) -> Result<Self>;

    /// Returns the name of these settings.
    fn name(&self) -> &'static str;

    /// Passes each field to `fields`.
    fn fields(&mut self, fields: &mut Fields);

    /// Refuses values out of range, by the errors of the builders.
    fn check(&self) -> Result<()>;
}

/// Reads settings, and refuses keys that they have not, and values out of range.
pub(super) fn read<S: Named>(call: Call) -> Result<S> {
    let mut settings = S::with_defaults(&call.word)?;
    let reader = Reader { owner: settings.name(), arguments: call.arguments, keys: Vec::new(), outcome: Ok(()) };
    let mut fields = Fields::Read(reader);
    settings.fields(&mut fields);
    fields.finish()?;
    settings.check()?;
    Ok(settings)
}

/// Lists the keys with their values.
pub(super) fn list<S: Named>(settings: &S) -> Vec<Key> {
    let mut fields = Fields::List(Vec::new());
    settings.clone().fields(&mut fields);
    if let Fields::List(keys) = fields { keys } else { Vec::new() }
}

/// Writes the name, and the fields that are not at their defaults.
pub(super) fn write<S: Named>(settings: &S, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let defaults = S::with_defaults(settings.name()).map(|settings| list(&settings)).unwrap_or_default();
    let changed = list(settings).into_iter().filter(|key| !key.value.is_empty() && !defaults.contains(key));
    let changed: Vec<String> =
        changed.map(|Key { name, value, bare, .. }| if bare { value } else { format!("{name}={value}") }).collect();
    let name = settings.name();
    if changed.is_empty() { f.write_str(name) } else { write!(f, "{name}({})", changed.join(", ")) }
}

/// Writes settings to a text, and reads them from one.
macro_rules! text {
    ($settings:ty) => {
        impl std::fmt::Display for $settings {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                crate::choice::fields::write(self, f)
            }
        }

        impl std::str::FromStr for $settings {
            type Err = crate::error::Error;

            fn from_str(text: &str) -> crate::error::Result<$settings> {
                crate::choice::fields::read(crate::choice::grammar::parse_one(text)?)
            }
        }
    };
}
pub(super) use text;

/// One pass over the fields of settings.
pub(super) enum Fields {
    /// Sets them from arguments.
    Read(Reader),
    /// Lists them.
    List(Vec<Key>),
}

/// Arguments that are taken one after the other.
pub(super) struct Reader {
    owner: &'static str,
    arguments: Vec<Argument>,
    keys: Vec<&'static str>,
    /// The first argument that was refused.
    outcome: Result<()>,
}

impl Reader {
    /// Takes the argument of a key, or the first without a key that `fits`.
    fn take(&mut self, key: &'static str, fits: impl Fn(&Call) -> bool) -> Option<Call> {
        self.keys.push(key);
        let by_key = self.arguments.iter().position(|argument| argument.key.as_deref() == Some(key));
        let by_place = || self.arguments.iter().position(|argument| argument.key.is_none() && fits(&argument.value));
        by_key.or_else(by_place).map(|at| self.arguments.remove(at).value)
    }

    fn refuse(&mut self, error: Error) {
        if self.outcome.is_ok() {
            self.outcome = Err(error);
        }
    }

    fn set<V>(&mut self, value: &mut V, read: Result<V>) {
        match read {
            Ok(read) => *value = read,
            Err(error) => self.refuse(error),
        }
    }

    fn bad(&self, key: &'static str, value: &Call, expected: impl Into<String>) -> Error {
        Error::BadValue { name: self.owner, key: key.to_owned(), value: value.to_string(), expected: expected.into() }
    }

    /// Reads a number, of a type that takes less than all real ones if `expected` says so.
    fn number<V: FromStr>(&mut self, key: &'static str, fits: fn(&Call) -> bool, value: &mut V, expected: &str) {
        if let Some(call) = self.take(key, fits) {
            let number = if call.arguments.is_empty() { call.word.parse().ok() } else { None };
            let read = number.ok_or_else(|| self.bad(key, &call, expected));
            self.set(value, read);
        }
    }

    /// Refuses what no field has taken.
    fn finish(self) -> Result<()> {
        self.outcome?;
        let Some(Argument { key, value }) = self.arguments.into_iter().next() else { return Ok(()) };
        let known = self.keys.iter().copied().filter(|key| !key.is_empty());
        let name = self.owner;
        match key {
            Some(key) if known.clone().any(|known| known == key) => {
                let expected = "this key to be given once".to_owned();
                Err(Error::BadValue { name, key, value: value.to_string(), expected })
            }
            key => {
                let key = key.unwrap_or_else(|| value.to_string());
                let nearest = nearest(&key, known.clone()).map(str::to_owned);
                let known = known.collect::<Vec<_>>().join(", ");
                Err(Error::UnknownKey { name, key, nearest, known })
            }
        }
    }
}

fn is_number(call: &Call) -> bool {
    call.word.parse::<f64>().is_ok()
}

const WHOLE: &str = "a whole number of zero or more";
const REAL: &str = "a number";

impl Fields {
    fn finish(self) -> Result<()> {
        match self {
            Fields::Read(reader) => reader.finish(),
            Fields::List(_) => Ok(()),
        }
    }

    fn field(
        &mut self,
        (name, expected, bare): (&'static str, String, bool),
        text: impl FnOnce() -> String,
        read: impl FnOnce(&mut Reader),
    ) {
        match self {
            Fields::Read(reader) => read(reader),
            Fields::List(keys) => keys.push(Key { name, value: text(), expected, bare }),
        }
    }

    /// A whole number.
    pub(super) fn count(&mut self, key: &'static str, value: &mut usize) {
        let now = *value;
        self.field(
            (key, WHOLE.to_owned(), false),
            || now.to_string(),
            |reader| reader.number(key, is_number, value, WHOLE),
        );
    }

    /// A real number.
    pub(super) fn real(&mut self, key: &'static str, value: &mut f64) {
        let now = *value;
        self.field(
            (key, REAL.to_owned(), false),
            || format!("{now:?}"),
            |reader| reader.number(key, is_number, value, REAL),
        );
    }

    /// An interval that need not be given, by its two keys.
    pub(super) fn interval(&mut self, [lower, upper]: [&'static str; 2], value: &mut Option<[f64; 2]>) {
        let text = |at: usize| value.map_or(String::new(), |ends: [f64; 2]| format!("{:?}", ends[at]));
        match self {
            Fields::Read(reader) => {
                let mut ends = value.map_or([f64::NAN; 2], |ends| ends);
                let given = [lower, upper].map(|key| reader.arguments.iter().any(|a| a.key.as_deref() == Some(key)));
                reader.number(lower, |_| false, &mut ends[0], REAL);
                reader.number(upper, |_| false, &mut ends[1], REAL);
                match given {
                    [false, false] => {}
                    [true, true] => *value = Some(ends),
                    [is_lower, _] => {
                        let (key, other) = if is_lower { (lower, upper) } else { (upper, lower) };
                        let value = format!("{:?}", if is_lower { ends[0] } else { ends[1] });
                        let expected = format!("{other} to be given as well");
                        let name = reader.owner;
                        reader.refuse(Error::BadValue { name, key: key.to_owned(), value, expected });
                    }
                }
            }
            Fields::List(keys) => keys.extend([(lower, 0), (upper, 1)].map(|(name, at)| Key {
                name,
                value: text(at),
                expected: format!("{REAL}; both ends or none"),
                bare: false,
            })),
        }
    }

    /// One of several words.
    pub(super) fn word<V: Copy + PartialEq>(&mut self, key: &'static str, value: &mut V, words: &[(&'static str, V)]) {
        let now = words.iter().find(|(_, meaning)| meaning == value).map_or("", |(word, _)| word);
        let expected = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let expected = format!("one of {expected}");
        let of = |call: &Call| words.iter().find(|(word, _)| *word == call.word && call.arguments.is_empty());
        self.field(
            (key, expected.clone(), false),
            || now.to_owned(),
            |reader| {
                if let Some(call) = reader.take(key, |call| of(call).is_some()) {
                    let read = of(&call).map(|(_, meaning)| *meaning).ok_or_else(|| reader.bad(key, &call, expected));
                    reader.set(value, read);
                }
            },
        );
    }

    /// Settings of another kind, which are clear without their key.
    pub(super) fn nested<S: Named + fmt::Display>(&mut self, key: &'static str, expected: String, value: &mut S) {
        let now = value.to_string();
        self.field(
            (key, expected, true),
            || now,
            |reader| {
                if let Some(call) = reader.take(key, |call| !is_number(call)) {
                    reader.set(value, read(call));
                }
            },
        );
    }

    /// All arguments that are left, without keys.
    pub(super) fn parts<S: Named + fmt::Display>(&mut self, expected: &str, value: &mut Vec<S>) {
        let now = value.iter().map(S::to_string).collect::<Vec<_>>().join(", ");
        self.field(
            ("", expected.to_owned(), true),
            || now,
            |reader| {
                while let Some(call) = reader.take("", |_| true) {
                    match read(call) {
                        Ok(part) => value.push(part),
                        Err(error) => reader.refuse(error),
                    }
                }
            },
        );
    }
}
