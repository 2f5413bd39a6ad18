//! Descriptions for people and for programs.

use serde_json::Value;

/// A description in both forms.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Told {
    /// Joins two descriptions: the text of one after the other, and one object with the members of both.
    pub(crate) fn followed_by(mut self, other: Told) -> Told {
        if let (Value::Object(members), Value::Object(more)) = (&mut self.json, other.json) {
            members.extend(more);
        }
        Told { text: format!("{}\n\n{}", self.text, other.text), json: self.json }
    }
}
