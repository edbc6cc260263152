//! Text of strangers as a line that people see.

/// A line that can be shown: no control characters that move a terminal's cursor, and not much
/// longer than so many bytes.
pub fn printable(message: &str, longest: usize) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.trim_end_matches(['\n', '\r']).chars() {
        if line.len() > longest {
            line.push_str(" […cut]");
            break;
        }
        if c == '\t' || !c.is_control() {
            line.push(c);
        } else {
            line.extend(c.escape_default());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_reach_a_terminal() {
        assert_eq!(printable("a\tb\u{1b}[2Jc\n", 100), "a\tb\\u{1b}[2Jc");
        assert!(printable(&"x".repeat(100_000), 16_000).len() < 16_020);
    }
}
