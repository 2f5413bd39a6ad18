//! Text, numbers and bytes in HTML.

/// Returns `text` with the characters that mean something in HTML replaced, for contents and attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Base64 with padding (RFC 4648, section 4).
pub(super) fn base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let byte = |at: usize| chunk.get(at).copied().unwrap_or(0);
        let [a, b, c] = [byte(0), byte(1), byte(2)];
        let sextets = [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63];
        for (at, sextet) in sextets.into_iter().enumerate() {
            let character = ALPHABET[usize::from(sextet)];
            text.push(if at <= chunk.len() { char::from(character) } else { '=' });
        }
    }
    text
}

/// Returns a count in groups of three digits, set apart by thin spaces.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// Returns a duration of `time` seconds, in the unit that fits.
pub(super) fn seconds(time: f64) -> String {
    let rounded = time.round();
    if rounded >= 3600.0 {
        format!("{:.0} h {:.0} min", (rounded / 3600.0).floor(), (rounded % 3600.0 / 60.0).floor())
    } else if rounded >= 120.0 {
        format!("{:.0} min {:.0} s", (rounded / 60.0).floor(), rounded % 60.0)
    } else if time >= 10.0 {
        format!("{time:.1} s")
    } else if time >= 0.1 {
        format!("{time:.2} s")
    } else {
        format!("{:.1} ms", 1e3 * time)
    }
}

/// Returns a size of memory, in the decimal unit that fits.
pub(super) fn bytes(count: u64) -> String {
    let size = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", size / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size / 1e6),
        _ => format!("{:.2} GB", size / 1e9),
    }
}

/// Returns a number as digits times a power of ten.
pub(super) fn scientific(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    let text = format!("{value:.2e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{digits} × 10<sup>{}</sup>", exponent.replace('-', "−"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_five_characters_are_escaped() {
        assert_eq!(escape("<a b=\"c\" d='e'> & µ"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt; &amp; µ");
    }

    /// The test vectors of RFC 4648, section 10, and bytes that need all bits.
    #[test]
    fn base64_vectors() {
        let cases: [(&[u8], &str); 8] = [
            (b"", ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"fooba", "Zm9vYmE="),
            (b"foobar", "Zm9vYmFy"),
            (&[0xfb, 0xff, 0xfe], "+//+"),
        ];
        for (data, text) in cases {
            assert_eq!(base64(data), text);
        }
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1\u{2009}000");
        assert_eq!(grouped(1_234_567), "1\u{2009}234\u{2009}567");
    }

    #[test]
    fn durations() {
        let cases = [
            (0.0123, "12.3 ms"),
            (1.234, "1.23 s"),
            (59.96, "60.0 s"),
            (119.9, "2 min 0 s"),
            (179.7, "3 min 0 s"),
            (3599.9, "1 h 0 min"),
            (9000.0, "2 h 30 min"),
        ];
        for (time, text) in cases {
            assert_eq!(seconds(time), text);
        }
    }

    #[test]
    fn sizes_and_powers() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500), "1.5 kB");
        assert_eq!(bytes(2_400_000_000), "2.40 GB");
        assert_eq!(scientific(1.5e-12), "1.50 × 10<sup>−12</sup>");
        assert_eq!(scientific(0.0), "0");
        assert_eq!(scientific(f64::NAN), "NaN");
    }
}
