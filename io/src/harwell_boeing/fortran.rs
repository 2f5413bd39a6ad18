//! Places of numbers in lines, as a Fortran format describes them.
//!
//! A format is a list of edit descriptors: numbers (`I`, `F`, `E`, `D`, `G`, `Q`), positions (`X`, `T`, `TL`, `TR`),
//! ends of lines (`/`), scale factors (`P`) and groups. When it ends and there are more numbers, it continues in a
//! new line from its last group on, or from its start if it has none (Fortran 2018, section 13.4).

use super::field::{Edit, Field};
use crate::fault::{Fault, quoted};
use crate::text::Lines;
use std::io::BufRead;

/// Groups within the parentheses of the format.
const DEPTH: usize = 2;
/// Numbers and ends of lines that a format may have.
const LONGEST: usize = 1 << 16;

/// A format such as `(16I5)`, `(1P,5D16.9)` or `(1X,8I9)`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FortranFormat {
    first: Vec<Line>,
    /// The lines after `first`, over and over.
    again: Vec<Line>,
}

/// The columns where numbers of a line start, and how they are read.
type Line = Vec<(usize, Edit)>;

enum Item {
    Numbers(usize, Edit),
    Scale(i32),
    /// Moves by this number of columns.
    Move(isize),
    /// Goes to a column, from 0.
    Column(usize),
    Ends(usize),
    Group(usize, Vec<Item>),
}

/// The characters of a format that are still to be read.
struct Cursor<'f>(&'f [u8]);

impl Cursor<'_> {
    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn number(&mut self) -> Option<usize> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        let number = std::str::from_utf8(number).ok()?.parse().ok().filter(|number| *number <= LONGEST)?;
        self.0 = rest;
        Some(number)
    }

    /// Returns the items up to the end or a closing parenthesis.
    fn items(&mut self, depth: usize) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        while !self.0.is_empty() && self.0[0] != b')' {
            if self.take(b",:").is_none() {
                items.push(self.item(depth)?);
            }
        }
        Some(items)
    }

    fn item(&mut self, depth: usize) -> Option<Item> {
        let negative = self.take(b"-").is_some();
        let count = self.number();
        if self.take(b"P").is_some() {
            let scale = i32::try_from(count?).ok().filter(|scale| *scale < 100)?;
            return Some(Item::Scale(if negative { -scale } else { scale }));
        }
        if negative || count == Some(0) {
            return None;
        }
        let repeat = count.unwrap_or(1);
        if self.take(b"/").is_some() {
            return Some(Item::Ends(repeat));
        }
        if self.take(b"X").is_some() {
            return Some(Item::Move(isize::try_from(repeat).ok()?));
        }
        if count.is_none() && self.take(b"T").is_some() {
            return self.tab();
        }
        if depth > 0 && self.take(b"(").is_some() {
            let group = self.items(depth - 1)?;
            self.take(b")")?;
            return Some(Item::Group(repeat, group));
        }
        Some(Item::Numbers(repeat, self.edit()?))
    }

    /// Returns `n`, `Ln` or `Rn` behind a T.
    fn tab(&mut self) -> Option<Item> {
        let direction = self.take(b"LR");
        let columns = self.number()?;
        Some(match direction {
            Some(b'L') => Item::Move(-isize::try_from(columns).ok()?),
            Some(_) => Item::Move(isize::try_from(columns).ok()?),
            None => Item::Column(columns.checked_sub(1)?),
        })
    }

    /// Returns `letter w [.d [Ee]]`
    fn edit(&mut self) -> Option<Edit> {
        let letter = self.take(b"IEDFGQ")?;
        self.take(b"SN");
        let width = self.number().filter(|width| (1..=255).contains(width))?;
        let decimals = if self.take(b".").is_some() { self.number()? } else { 0 };
        if self.take(b"ED").is_some() {
            self.number()?;
        }
        let decimals = i32::try_from(decimals).ok().filter(|decimals| *decimals < 256)?;
        Some(Edit { width, decimals, scale: 0, whole: letter == b'I' })
    }
}

/// The lines and columns where a list of items puts numbers.
struct Layout {
    lines: Vec<Line>,
    column: usize,
    scale: i32,
    steps: usize,
}

impl Layout {
    /// Returns the lines of items, of which numbers are scaled by `scale` until something else is said.
    fn of(items: &[Item], scale: i32) -> Option<Layout> {
        let mut layout = Layout { lines: vec![Vec::new()], column: 0, scale, steps: 0 };
        layout.add(items)?;
        // Otherwise lines would be read for ever.
        layout.lines.iter().any(|line| !line.is_empty()).then_some(layout)
    }

    fn add(&mut self, items: &[Item]) -> Option<()> {
        for item in items {
            self.steps += 1;
            match item {
                Item::Scale(scale) => self.scale = *scale,
                Item::Move(columns) => self.column = self.column.saturating_add_signed(*columns),
                Item::Column(column) => self.column = *column,
                Item::Ends(count) => {
                    self.steps += count;
                    self.lines.extend(std::iter::repeat_n(Vec::new(), *count));
                    self.column = 0;
                }
                Item::Numbers(count, edit) => {
                    self.steps += count;
                    let edit = Edit { scale: self.scale, ..*edit };
                    let starts = (0..*count).map(|number| self.column + number * edit.width);
                    self.lines.last_mut()?.extend(starts.map(|start| (start, edit)));
                    self.column += count * edit.width;
                }
                Item::Group(count, group) => {
                    for _ in 0..*count {
                        self.steps += 1;
                        self.add(group).filter(|()| self.steps <= LONGEST)?;
                    }
                }
            }
            if self.steps > LONGEST {
                return None;
            }
        }
        Some(())
    }
}

impl FortranFormat {
    pub(super) fn parse(text: &[u8]) -> Result<FortranFormat, String> {
        let compact: Vec<u8> =
            text.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_uppercase).collect();
        let inner = compact.strip_prefix(b"(").and_then(|text| text.strip_suffix(b")"));
        inner.and_then(FortranFormat::of).ok_or_else(|| {
            format!("{} is not a format of numbers, such as (16I5) or (1P,4E20.12)", quoted(text.trim_ascii()))
        })
    }

    fn of(inner: &[u8]) -> Option<FortranFormat> {
        let mut cursor = Cursor(inner);
        let items = cursor.items(DEPTH).filter(|_| cursor.0.is_empty())?;
        let first = Layout::of(&items, 0)?;
        let back = items.iter().rposition(|item| matches!(item, Item::Group(..))).unwrap_or(0);
        let again = Layout::of(&items[back..], first.scale)?;
        Some(FortranFormat { first: first.lines, again: again.lines })
    }

    /// Returns whether it is a format of whole numbers.
    pub(super) fn is_whole(&self) -> bool {
        self.first.iter().chain(&self.again).flatten().all(|(_, edit)| edit.whole)
    }

    /// Returns the number of lines that `count` numbers take.
    pub(super) fn lines(&self, count: u64) -> u64 {
        let numbers = |lines: &[Line]| lines.iter().map(|line| line.len() as u64).sum::<u64>();
        let (first, again) = (numbers(&self.first), numbers(&self.again));
        if count <= first {
            return lines_of(&self.first, count);
        }
        let rounds = (count - first - 1) / again;
        let last = lines_of(&self.again, count - first - rounds * again);
        rounds.saturating_mul(self.again.len() as u64).saturating_add(self.first.len() as u64 + last)
    }

    /// Gives the next `count` fields to `take`; they start on a new line.
    pub(super) fn read(
        &self,
        lines: &mut Lines<impl BufRead>,
        what: &str,
        count: u64,
        take: impl FnMut(Field<'_>) -> Result<(), String>,
    ) -> Result<(), Fault> {
        self.read_vectors(lines, what, count, count, take)
    }

    /// Works like [`FortranFormat::read`], of vectors of `each` fields, which may start on a new line each.
    pub(super) fn read_vectors(
        &self,
        lines: &mut Lines<impl BufRead>,
        what: &str,
        count: u64,
        each: u64,
        mut take: impl FnMut(Field<'_>) -> Result<(), String>,
    ) -> Result<(), Fault> {
        let (mut done, mut round, mut place, mut is_whole_line) = (0, &self.first, 0, false);
        while done < count {
            if place == round.len() {
                (round, place) = (&self.again, 0);
            }
            let ended = Fault::line(lines.number, format!("the file ends after {done} of {count} {what}"));
            let Some(line) = lines.next_line()? else { return Err(ended) };
            let line = line.trim_ascii_end();
            let fields = round[place].iter().map_while(|&(start, edit)| {
                let text = line.get(start..).filter(|text| !text.is_empty())?;
                Some(Field { text: &text[..text.len().min(edit.width)], edit })
            });
            let wanted = (count - done).min(round[place].len() as u64);
            let taken = fields
                .take(usize::try_from(wanted).unwrap_or(usize::MAX))
                .try_fold(0, |taken, field| take(field).map(|()| taken + 1));
            let taken: u64 = taken.map_err(|what| Fault::line(lines.number, what))?;
            done += taken;
            is_whole_line = taken == round[place].len() as u64;
            place += 1;
            if taken < wanted {
                if taken == 0 || !done.is_multiple_of(each) {
                    return Err(Fault::line(lines.number, format!("has {taken} of the {what}, not {wanted}")));
                }
                (round, place) = (&self.first, 0);
            }
        }
        // The format goes on up to its next number.
        let mut behind = round[place..].iter().take_while(|line| is_whole_line && line.is_empty());
        behind.try_for_each(|_| lines.next_line().map(drop))
    }

    #[cfg(test)]
    pub(super) fn first_edit(&self) -> Edit {
        self.first.iter().flatten().next().expect("invariant: formats have numbers").1
    }
}

/// Returns the lines of a round of a format that hold the given number of numbers, with those without numbers that
/// follow the last.
fn lines_of(round: &[Line], count: u64) -> u64 {
    let (mut left, mut taken) = (count, 0);
    for line in round.iter().take_while(|_| count > 0) {
        let here = line.len() as u64;
        if left == 0 && here > 0 {
            break;
        }
        taken += 1;
        if here > left {
            break;
        }
        left -= here;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> FortranFormat {
        FortranFormat::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn formats_as_files_have_them() {
        let parts = |text| {
            let format = format(text);
            let Edit { width, decimals, scale, whole } = format.first_edit();
            (format.first[0].len(), width, decimals, scale, whole)
        };
        assert_eq!(parts("(16I5)          "), (16, 5, 0, 0, true));
        assert_eq!(parts("(1P,5D16.9)"), (5, 16, 9, 1, false));
        assert_eq!(parts(" (1p4e20.12e3)"), (4, 20, 12, 1, false));
        assert_eq!(parts("(10F8.1)"), (10, 8, 1, 0, false));
        assert_eq!(parts("(3(1PE25.16))"), (3, 25, 16, 1, false));
        assert_eq!(parts("(-2P,ES20.12)"), (1, 20, 12, -2, false));
        for text in [
            "",
            "16I5",
            "(I)",
            "(0I5)",
            "(16A5)",
            "(16I5",
            "(16I5,A)",
            "(2X)",
            "(8I5,3(1X))",
            "(99999I5)",
            "(2I5,T0,I5)",
            "(60000(60000(I1)))",
            "(I999999999999999999999)",
            "((((I5))))",
            "(P5E3)",
        ] {
            assert!(FortranFormat::parse(text.as_bytes()).unwrap_err().contains("is not a format"), "{text}");
        }
    }

    #[test]
    fn fields_follow_each_other_over_lines() {
        let read = |text: &str, count| {
            let (mut lines, mut found) = (Lines::new(text.as_bytes()), Vec::new());
            let format = format("(3I2)");
            let result = format.read(&mut lines, "pointers", count, |field| {
                found.push(field.index()?);
                Ok(())
            });
            result.map(|()| found).map_err(|fault| format!("{}: {}", fault.place, fault.what))
        };
        assert_eq!(read(" 1 2 3\n 4 5\n 6", 5), Ok(vec![1, 2, 3, 4, 5]));
        assert_eq!(read("010203junk\n04", 4), Ok(vec![1, 2, 3, 4]));
        assert_eq!(read(" 1 2\n 3", 3), Err("line 1: has 2 of the pointers, not 3".into()));
        assert_eq!(read(" 1 2 3\n", 4), Err("line 1: the file ends after 3 of 4 pointers".into()));
        let (mut lines, mut found) = (Lines::new(" 1 2 3\n 4\n 5 6 7\n 8\n".as_bytes()), 0);
        let counted = format("(3I2)").read_vectors(&mut lines, "numbers", 8, 4, |_| {
            found += 1;
            Ok(())
        });
        assert!(counted.is_ok() && found == 8);
        assert_eq!(read(" 1-2 3\n", 3), Err("line 1: '-2' is not a whole number".into()));
    }
}
