//! Values of attributes, and their bytes, which are sent to other ranks.

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// A string; written in UTF-8 and of variable length.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A list of floating-point numbers.
    Reals(Vec<f64>),
    /// A list of integers.
    Integers(Vec<i64>),
}

impl Attribute {
    /// Returns the size of the value.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Reals(values) => 8 * values.len(),
            Self::Integers(values) => 8 * values.len(),
        }
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Attribute {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&[f64]> for Attribute {
    fn from(value: &[f64]) -> Self {
        Self::Reals(value.to_vec())
    }
}

impl From<&[i64]> for Attribute {
    fn from(value: &[i64]) -> Self {
        Self::Integers(value.to_vec())
    }
}

/// Appends a kind, and a value with its length before it.
fn put(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    bytes.push(kind);
    bytes.extend((value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(value);
}

pub(super) fn encode(values: &[Option<Attribute>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        match value {
            None => put(&mut bytes, 0, &[]),
            Some(Attribute::Text(text)) => put(&mut bytes, 1, text.as_bytes()),
            Some(Attribute::Integer(value)) => put(&mut bytes, 2, &value.to_le_bytes()),
            Some(Attribute::Real(value)) => put(&mut bytes, 3, &value.to_le_bytes()),
            Some(Attribute::Reals(values)) => put(&mut bytes, 4, bytemuck::cast_slice(values)),
            Some(Attribute::Integers(values)) => put(&mut bytes, 5, bytemuck::cast_slice(values)),
        }
    }
    bytes
}

/// None if the bytes do not come from [`encode`].
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<Option<Attribute>>> {
    let mut values = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        bytes = rest;
        values.push(match kind {
            0 => None,
            1 => Some(Attribute::Text(String::from_utf8(value.to_vec()).ok()?)),
            2 => Some(Attribute::Integer(i64::from_le_bytes(value.try_into().ok()?))),
            3 => Some(Attribute::Real(f64::from_le_bytes(value.try_into().ok()?))),
            4 => Some(Attribute::Reals(bytemuck::pod_collect_to_vec(value))),
            5 => Some(Attribute::Integers(bytemuck::pod_collect_to_vec(value))),
            _ => return None,
        });
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let values = [
            None,
            Some(Attribute::Text("é".into())),
            Some(Attribute::Integer(-3)),
            Some(Attribute::Real(0.1)),
            Some(Attribute::Reals(vec![0.1, -2.0])),
            Some(Attribute::Integers(vec![])),
        ];
        let bytes = encode(&values);
        assert_eq!(decode(&bytes).as_deref(), Some(&values[..]));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
    }
}
