//! Text of strangers, fit for a sentence.

use std::fmt;

/// Longest quote in characters.
const MOST: usize = 200;

/// Text that a program or a registry wrote: one line, bounded, with control characters and those
/// that turn the direction of text escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quote(String);

impl Quote {
    /// Makes `text` fit for a sentence.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::within(MOST, text)
    }

    /// The same with another bound, in characters.
    #[must_use]
    pub fn within(most: usize, text: &str) -> Self {
        let text = text.trim();
        let mut kept = String::new();
        let mut length = 0;
        for character in text.chars() {
            let mut escaped = String::new();
            if is_unsafe(character) {
                escaped.extend(character.escape_default());
            } else {
                escaped.push(character);
            }
            length += escaped.chars().count();
            if length > most {
                kept.push_str("...");
                break;
            }
            kept.push_str(&escaped);
        }
        Self(kept)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Control characters, and the invisible ones that reorder or hide text on a terminal.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes() {
        let cases = [
            ("plain", "  exit status 1\n", "exit status 1"),
            ("two lines", "a\nb", "a\\nb"),
            ("terminal colours", "\u{1b}[31mred", "\\u{1b}[31mred"),
            ("right to left", "abc\u{202e}def", "abc\\u{202e}def"),
            ("other scripts", "größer 大", "größer 大"),
            ("nothing", " \t", ""),
        ];
        for (name, text, expected) in cases {
            assert_eq!(Quote::new(text).as_str(), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_quote_is_bounded_and_harmless(text in any::<String>(), times in 1_usize..400) {
            let quote = Quote::new(&text.repeat(times));
            prop_assert!(quote.as_str().chars().count() <= MOST + 3);
            prop_assert!(!quote.as_str().chars().any(is_unsafe));
        }
    }
}
