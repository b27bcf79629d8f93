//! One linear pass over the text of a document, before the recursive parser sees it.
//!
//! It counts tokens (GraphQL specification, section 2.1.6) and bracket nesting, and nothing else: text that is
//! not GraphQL passes and is refused by the parser.

use std::borrow::Cow;

use crate::limits::NESTING_MAX;

/// Longest name or number, in bytes. The parser reads numbers digit by digit into a float and error messages
/// repeat names.
const WORD_MAX_BYTES: usize = 255;

/// Most bytes of strings in a document. The parser spends far longer on a character of a string than JSON does on
/// one of a variable, where long texts belong.
const STRINGS_MAX_BYTES: usize = 64 * 1024;

/// Above this many bytes of spaces and comments the text is compacted before parsing: the parser reads such a
/// run again at every point where something optional could stand.
const IGNORED_MAX_BYTES: usize = 8 * 1024;

/// What was too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextBreach {
    Tokens,
    Nesting,
    Word,
    Strings,
}

/// Checks `source` and returns the text to parse: `source` itself, or the same tokens with less between them, in
/// which case error locations refer to the compacted text.
pub(crate) fn check(source: &str, tokens_max: usize) -> Result<Cow<'_, str>, TextBreach> {
    let mut lexer = Lexer { source, at: 0 };
    let (mut tokens, mut nesting, mut significant, mut strings) = (0_usize, 0_u32, 0_usize, 0_usize);
    while let Some((token, text)) = lexer.next() {
        tokens += weight(token, text);
        significant += text.len();
        if tokens > tokens_max {
            return Err(TextBreach::Tokens);
        }
        match token {
            Token::Open => nesting += 1,
            Token::Close => nesting = nesting.saturating_sub(1),
            Token::Word if text.len() > WORD_MAX_BYTES => return Err(TextBreach::Word),
            Token::Text => strings += text.len(),
            Token::Word | Token::Other => {}
        }
        if strings > STRINGS_MAX_BYTES {
            return Err(TextBreach::Strings);
        }
        if nesting > NESTING_MAX {
            return Err(TextBreach::Nesting);
        }
    }
    if source.len().saturating_sub(significant) <= IGNORED_MAX_BYTES {
        return Ok(Cow::Borrowed(source));
    }
    Ok(Cow::Owned(compact(source, significant + tokens)))
}

fn compact(source: &str, capacity: usize) -> String {
    let mut lexer = Lexer { source, at: 0 };
    let mut text = String::with_capacity(capacity);
    while let Some((_, token)) = lexer.next() {
        if !text.is_empty() {
            // A line break, since it also ends an unclosed string, as in the original.
            text.push('\n');
        }
        text.push_str(token);
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    /// A name or number.
    Word,
    /// A string.
    Text,
    /// Any other punctuator, and what is no token at all.
    Other,
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Option<(Token, &'a str)> {
        self.skip_ignored();
        let bytes = self.source.as_bytes();
        let start = self.at;
        let token = match *bytes.get(start)? {
            b'{' | b'[' | b'(' => self.one(Token::Open),
            b'}' | b']' | b')' => self.one(Token::Close),
            b'"' => {
                self.skip_string();
                Token::Text
            }
            b'.' if bytes.get(start..start + 3) == Some(b"...") => {
                self.at += 3;
                Token::Other
            }
            b'-' | b'0'..=b'9' => {
                self.skip_number();
                Token::Word
            }
            byte if is_name(byte) => {
                self.skip_while(is_name);
                Token::Word
            }
            // Multi-byte characters are legal only in strings and comments: one token each, then refused.
            byte if !byte.is_ascii() => {
                self.at += self.source[start..].chars().next().map_or(1, char::len_utf8);
                Token::Other
            }
            _ => self.one(Token::Other),
        };
        Some((token, &self.source[start..self.at]))
    }

    fn one(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        let bytes = self.source.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| keep(*byte)) {
            self.at += 1;
        }
    }

    /// Exactly one number: `00` and `1-1` are two each, to the parser as well.
    fn skip_number(&mut self) {
        let bytes = self.source.as_bytes();
        let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        if bytes[self.at] == b'-' {
            self.at += 1;
        }
        if bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.skip_while(|byte| byte.is_ascii_digit());
        }
        if bytes.get(self.at) == Some(&b'.') && digit_at(self.at + 1) {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
        }
        if bytes.get(self.at).is_some_and(|byte| matches!(byte, b'e' | b'E')) {
            let sign = usize::from(bytes.get(self.at + 1).is_some_and(|byte| matches!(byte, b'+' | b'-')));
            if digit_at(self.at + 1 + sign) {
                self.at += 1 + sign;
                self.skip_while(|byte| byte.is_ascii_digit());
            }
        }
    }

    /// White space, commas, byte order marks and comments.
    fn skip_ignored(&mut self) {
        let bytes = self.source.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => self.at += 1,
                b'#' => self.skip_while(|byte| !matches!(byte, b'\n' | b'\r')),
                0xEF if bytes.get(self.at..self.at + 3) == Some(b"\xEF\xBB\xBF") => self.at += 3,
                _ => return,
            }
        }
    }

    /// Stops behind the closing quote, at the end of the line of an unclosed string, or at the end of the text.
    fn skip_string(&mut self) {
        let bytes = self.source.as_bytes();
        if bytes.get(self.at..self.at + 3) == Some(b"\"\"\"") {
            self.at += 3;
            while self.at < bytes.len() {
                if bytes[self.at..].starts_with(b"\\\"\"\"") {
                    self.at += 4;
                } else if bytes[self.at..].starts_with(b"\"\"\"") {
                    self.at += 3;
                    return;
                } else {
                    self.at += 1;
                }
            }
            return;
        }
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'\\' if !matches!(bytes.get(self.at + 1), Some(b'\n' | b'\r')) => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\n' | b'\r' => return,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(bytes.len());
        while !self.source.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// How many tokens this can be to the parser, which reads `truetrue` in a list as two values.
fn weight(token: Token, text: &str) -> usize {
    let splits = ["true", "false", "null"].iter().any(|word| text.starts_with(word));
    if token == Token::Word && splits { (text.len() / 4).max(1) } else { 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(source: &str) -> usize {
        let mut lexer = Lexer { source, at: 0 };
        std::iter::from_fn(|| lexer.next()).count()
    }

    #[test]
    fn tokens_are_counted_as_the_specification_does() {
        let check = |source: &str, expected| assert_eq!(count(source), expected, "{source}");
        check("", 0);
        check("# only { a } comment", 0);
        check("\u{feff} , ,, \n\t", 0);
        check("{ a }", 3);
        check("{a,b,c}", 5);
        check("{ a(x: -1.5e+3, y: $v) }", 12);
        check("[00 1-1 1e5 1e]", 9);
        check("{ ...F ... on T { a } }", 10);
        check("{ a(s: \"{ \\\" } # \") }", 8);
        check("{ a(s: \"\"\"{ \\\"\"\" { # \"\"\") }", 8);
        check("{ a(s: \"\") }", 8);
        check("\"unclosed { { {", 1);
        check("\"\"\"unclosed { { {", 1);
        check("\"ends with backslash\\", 1);
        check("é", 1);
        check("\"\n$ \"\\\n$", 4);
    }

    #[test]
    fn each_bound_is_exact() {
        assert!(check("{ a }", 3).is_ok());
        assert_eq!(check("{ a b }", 3), Err(TextBreach::Tokens));
        let nested = |n: usize| format!("{}{}", "{a".repeat(n), "}".repeat(n));
        assert!(check(&nested(32), 5_000).is_ok());
        assert_eq!(check(&nested(33), 5_000), Err(TextBreach::Nesting));
        assert_eq!(check(&"[".repeat(200_000), 5_000), Err(TextBreach::Nesting));
        assert_eq!(check(&format!("{{ {} }}", "a".repeat(256)), 5_000), Err(TextBreach::Word));
        assert_eq!(check(&format!("[{}]", "true".repeat(63)), 64), Err(TextBreach::Tokens));
        let text = |n: usize| format!("{{ a(s: \"{}\") }}", "{".repeat(n));
        assert!(check(&text(65_534), 5_000).is_ok());
        assert_eq!(check(&text(65_535), 5_000), Err(TextBreach::Strings));
    }

    #[test]
    fn long_runs_between_tokens_are_compacted() {
        let source = format!("{{ a # {}\n b(s: \"#  ,\") }}", "x".repeat(100_000));
        let text = check(&source, 5_000);
        assert_eq!(text.as_deref(), Ok("{\na\nb\n(\ns\n:\n\"#  ,\"\n)\n}"));
    }

    proptest! {
        #[test]
        fn never_panics_and_compaction_keeps_the_tokens(source in "[ -~\\n\"#{}\\\\é]{0,200}") {
            let before = count(&source);
            let text = compact(&source, 0);
            prop_assert_eq!(count(&text), before);
        }
    }
}
