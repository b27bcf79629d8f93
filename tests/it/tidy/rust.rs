//! As much of Rust's syntax as the rules need: which part of a file is code, comment or string, and the paths that
//! code names.

use std::ops::Range;

/// What a part of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Code,
    Comment,
    Text,
}

/// The file with everything but one part blanked out: every line and every byte stays in its place.
pub(super) fn only(source: &str, wanted: Part) -> String {
    let mut kept = String::with_capacity(source.len());
    for (range, part) in parts(source) {
        let Some(piece) = source.get(range) else { continue };
        if part == wanted {
            kept.push_str(piece);
            continue;
        }
        for c in piece.chars() {
            if c == '\n' { kept.push('\n') } else { (0..c.len_utf8()).for_each(|_| kept.push(' ')) }
        }
    }
    kept
}

/// The code alone.
pub(super) fn code(source: &str) -> String {
    only(source, Part::Code)
}

/// The line, from 1, of a byte.
pub(super) fn line_of(source: &str, at: usize) -> usize {
    source.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn parts(source: &str) -> Vec<(Range<usize>, Part)> {
    let bytes = source.as_bytes();
    let mut parts = Vec::new();
    let (mut at, mut code_from) = (0, 0);
    while at < bytes.len() {
        let begins = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => Some((line_end(source, at), Part::Comment)),
            b'/' if bytes.get(at + 1) == Some(&b'*') => Some((block_end(bytes, at), Part::Comment)),
            b'"' => Some((text_end(bytes, at), Part::Text)),
            b'\'' => quoted_end(source, at).map(|end| (end, Part::Text)),
            b'r' | b'b' | b'c' if at == 0 || !is_word(bytes[at - 1]) => {
                raw_end(source, at).map(|end| (end, Part::Text))
            }
            _ => None,
        };
        let Some((end, part)) = begins else {
            at += 1;
            continue;
        };
        parts.push((code_from..at, Part::Code));
        parts.push((at..end, part));
        (at, code_from) = (end, end);
    }
    parts.push((code_from..bytes.len(), Part::Code));
    parts
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn line_end(source: &str, at: usize) -> usize {
    source[at..].find('\n').map_or(source.len(), |length| at + length)
}

/// Comments in blocks nest.
fn block_end(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => (depth, at) = (depth + 1, at + 2),
            (b'*', Some(b'/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

fn text_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Where a character literal ends; `None` for a lifetime.
fn quoted_end(source: &str, from: usize) -> Option<usize> {
    let mut inside = source[from + 1..].char_indices();
    let (_, first) = inside.next()?;
    if first == '\\' {
        inside.next()?;
        return inside.find(|(_, c)| *c == '\'').map(|(length, _)| from + 1 + length + 1);
    }
    let (length, second) = inside.next()?;
    (second == '\'').then_some(from + 1 + length + 1)
}

/// Where a raw string ends that begins here; `None` when none does.
fn raw_end(source: &str, from: usize) -> Option<usize> {
    let head = source[from..].trim_start_matches(['b', 'c']);
    let after_r = head.strip_prefix('r')?;
    let body = after_r.trim_start_matches('#');
    let fence = "#".repeat(after_r.len() - body.len());
    let inside = body.strip_prefix('"')?;
    let start = source.len() - inside.len();
    let close = format!("\"{fence}");
    Some(inside.find(&close).map_or(source.len(), |length| start + length + close.len()))
}

/// A path that code names: `sqlx::query`, or one leaf of a `use`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) line: usize,
    pub(super) segments: Vec<String>,
}

impl Named {
    pub(super) fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", |segment| segment)
    }

    pub(super) fn text(&self) -> String {
        self.segments.join("::")
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Separator,
    Mark(u8),
}

fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let bytes = code.as_bytes();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let byte = bytes[at];
        if is_word(byte) {
            let length = bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
            let word = &code[at..at + length];
            at += length;
            // `r#type` is the word `type`.
            if word == "r"
                && bytes.get(at) == Some(&b'#')
                && bytes.get(at + 1).is_some_and(|byte| is_word(*byte))
            {
                at += 1;
                continue;
            }
            tokens.push((line, Token::Word(word)));
        } else if byte == b':' && bytes.get(at + 1) == Some(&b':') {
            tokens.push((line, Token::Separator));
            at += 2;
        } else {
            line += usize::from(byte == b'\n');
            if !byte.is_ascii_whitespace() {
                tokens.push((line, Token::Mark(byte)));
            }
            at += 1;
        }
    }
    tokens
}

/// All paths of two segments or more that code names, and all leaves of its `use` items.
pub(super) fn paths(code: &str) -> Vec<Named> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Token::Word(word) = &tokens[at].1 else {
            at += 1;
            continue;
        };
        if *word == "use" {
            at = use_tree(&tokens, at + 1, &[], &mut found);
            continue;
        }
        let mut segments = vec![(*word).to_owned()];
        let line = tokens[at].0;
        let begins = at == 0 || tokens[at - 1].1 != Token::Separator;
        at += 1;
        while let (Some((_, Token::Separator)), Some((_, Token::Word(next)))) =
            (tokens.get(at), tokens.get(at + 1))
        {
            segments.push((*next).to_owned());
            at += 2;
        }
        if begins && segments.len() > 1 {
            found.push(Named { line, segments });
        }
    }
    found
}

/// Reads one branch of a `use` item from `at` on and says where it ends.
fn use_tree(
    tokens: &[(usize, Token<'_>)],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<Named>,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut line = 0;
    while let Some((here, token)) = tokens.get(at) {
        match token {
            Token::Word("as") => at += 2,
            Token::Word(word) => {
                segments.push((*word).to_owned());
                (line, at) = (*here, at + 1);
            }
            Token::Separator => at += 1,
            Token::Mark(b'*') => {
                segments.push("*".to_owned());
                (line, at) = (*here, at + 1);
            }
            Token::Mark(b'{') => {
                at += 1;
                while !matches!(tokens.get(at), None | Some((_, Token::Mark(b'}')))) {
                    at = use_tree(tokens, at, &segments, found);
                    if matches!(tokens.get(at), Some((_, Token::Mark(b',')))) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Token::Mark(_) => break,
        }
    }
    if segments.len() > prefix.len() {
        found.push(Named { line, segments });
        return at;
    }
    // A mark no `use` has must not be read for ever.
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        let source = "let a = \"// no\"; // yes \"é\"\n/* a /* b */ c */ let b = 'x'; let c: &'a str = r#\"q\"z\"#; '\\'' r#type b\"k\"";
        assert_eq!(
            code(source).split_whitespace().collect::<Vec<_>>().join(" "),
            "let a = ; let b = ; let c: &'a str = ; r#type b"
        );
        assert_eq!(
            only(source, Part::Comment).split_whitespace().collect::<Vec<_>>().join(" "),
            "// yes \"é\" /* a /* b */ c */"
        );
        assert_eq!(
            only(source, Part::Text).split_whitespace().collect::<Vec<_>>().join(" "),
            "\"// no\" 'x' r#\"q\"z\"# '\\'' \"k\""
        );
        for part in [Part::Code, Part::Comment, Part::Text] {
            assert_eq!(only(source, part).len(), source.len());
        }
    }

    #[test]
    fn unfinished_parts_end_with_the_file() {
        for source in ["\"", "\"\\", "/*", "/* /* */", "r#\"", "'", "'\\", "//", "use a::{b", "use {", "a::"]
        {
            assert_eq!(code(source).len(), source.len(), "{source}");
            assert!(paths(source).len() <= 1, "{source}");
        }
    }

    #[test]
    fn paths_of_code_and_of_use_items_are_found() {
        let told =
            |code: &str| paths(code).iter().map(|p| format!("{} {}", p.line, p.text())).collect::<Vec<_>>();
        assert_eq!(
            told(
                "use a::{\n  b::{self, c as d},\n  ::e, f::*};\npub(in crate::g) fn x(y: Vec::<u8>) { sqlx::query(z.k::<T>()) }"
            ),
            ["2 a::b::self", "2 a::b::c", "3 a::e", "3 a::f::*", "4 crate::g", "4 sqlx::query"]
        );
        assert_eq!(told("use crate::r#type::x; <T as p::Q>::r()"), ["1 crate::type::x", "1 p::Q"]);
        assert_eq!(told("use one; use two::three;"), ["1 one", "1 two::three"]);
    }

    #[test]
    fn bytes_have_lines() {
        assert_eq!([line_of("a\nb\n", 0), line_of("a\nb\n", 2), line_of("a\nb\n", 4)], [1, 2, 3]);
    }
}
