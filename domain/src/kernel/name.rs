//! Names that people give things.

/// Longest display name of anything, in characters.
pub const NAME_MAX_CHARS: usize = 100;

/// Checks a display name: 1 to [`NAME_MAX_CHARS`] characters, no control characters, trimmed.
///
/// # Errors
/// Says what is wrong with it.
pub fn display_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() {
        return Err("must not be empty");
    }
    if name.chars().count() > NAME_MAX_CHARS {
        return Err("must be at most 100 characters");
    }
    if name.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(display_name("  Ada 李 ").as_deref(), Ok("Ada 李"));
        assert!(display_name("   ").is_err());
        assert!(display_name("a\u{7}b").is_err());
        assert!(display_name(&"名".repeat(100)).is_ok());
        assert!(display_name(&"名".repeat(101)).is_err());
    }
}
