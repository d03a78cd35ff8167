//! Twelve words that are a key: BIP 39 in the seven languages that Bytom offers.
//!
//! A phrase stands for 128 random bits and four bits of checksum. The seed is PBKDF2 over the
//! phrase in its decomposed form (NFKD), single-spaced, with an empty passphrase, so the same words
//! give the same key however they were typed.
//!
//! Bytom never looked at the checksum, so phrases with a wrong one have opened real keys. They
//! still do; [`Mnemonic::has_valid_checksum`] tells, so that whoever imports one can be warned of a
//! likely slip.

mod iso;

use std::{borrow::Cow, fmt, str::FromStr};

use zeroize::Zeroizing;

/// Words in a phrase: 128 bits of entropy and 4 of checksum, 11 bits a word.
pub const WORDS: usize = 12;
/// Bytes of entropy behind a phrase.
pub const ENTROPY_LEN: usize = 16;
/// Most bytes read of a phrase; twelve of the longest words, decomposed, need under 400.
const MAX_PHRASE_LEN: usize = 1024;

/// What is wrong with a phrase or with its language. The texts are those Bytom's clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MnemonicError {
    /// Not twelve words.
    #[error("mnemonic length error")]
    Length,
    /// A word is not in the language's list. The missing letters are Bytom's.
    #[error("Invalid menomic")]
    Invalid,
    /// A language, but none with a word list here.
    #[error("Language Type Unsupported")]
    LanguageUnsupported,
    /// No language of ISO 639-1, with or without a country of ISO 3166-1.
    #[error("Language Type Incorrect")]
    LanguageIncorrect,
}

/// A language with a word list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// `en`
    #[default]
    English,
    /// `zh_CN`
    ChineseSimplified,
    /// `zh_TW`
    ChineseTraditional,
    /// `it`
    Italian,
    /// `ja`
    Japanese,
    /// `ko`
    Korean,
    /// `es`
    Spanish,
}

impl Language {
    /// Every language, in the order in which Bytom lists them.
    pub const ALL: [Self; 7] = [
        Self::English,
        Self::ChineseSimplified,
        Self::ChineseTraditional,
        Self::Italian,
        Self::Japanese,
        Self::Korean,
        Self::Spanish,
    ];

    /// The code by which `create-key` names it.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::ChineseSimplified => "zh_CN",
            Self::ChineseTraditional => "zh_TW",
            Self::Italian => "it",
            Self::Japanese => "ja",
            Self::Korean => "ko",
            Self::Spanish => "es",
        }
    }

    fn word_list(self) -> bip39::Language {
        match self {
            Self::English => bip39::Language::English,
            Self::ChineseSimplified => bip39::Language::SimplifiedChinese,
            Self::ChineseTraditional => bip39::Language::TraditionalChinese,
            Self::Italian => bip39::Language::Italian,
            Self::Japanese => bip39::Language::Japanese,
            Self::Korean => bip39::Language::Korean,
            Self::Spanish => bip39::Language::Spanish,
        }
    }
}

impl FromStr for Language {
    type Err = MnemonicError;

    fn from_str(code: &str) -> Result<Self, MnemonicError> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
            .ok_or(if iso::is_language(code) {
                MnemonicError::LanguageUnsupported
            } else {
                MnemonicError::LanguageIncorrect
            })
    }
}

/// A phrase of twelve words. Wiped from memory when dropped; printed only by [`Mnemonic::phrase`].
#[derive(Clone, PartialEq, Eq)]
pub struct Mnemonic(bip39::Mnemonic);

impl Mnemonic {
    /// The phrase for 128 bits of entropy, which the caller draws.
    pub fn from_entropy(entropy: &[u8; ENTROPY_LEN], language: Language) -> Self {
        Self(
            bip39::Mnemonic::from_entropy_in(language.word_list(), entropy)
                .expect("128 bits are a length that BIP 39 knows"),
        )
    }

    /// Reads a phrase, with any white space between the words and accents composed or not.
    pub fn parse(phrase: &str, language: Language) -> Result<Self, MnemonicError> {
        if phrase.len() > MAX_PHRASE_LEN || phrase.split_whitespace().count() != WORDS {
            return Err(MnemonicError::Length);
        }
        let mut normal = Cow::Borrowed(phrase);
        bip39::Mnemonic::normalize_utf8_cow(&mut normal);
        let normal = Zeroizing::new(normal.into_owned());
        bip39::Mnemonic::parse_in_normalized_without_checksum_check(language.word_list(), &normal)
            .map(Self)
            .map_err(|_| MnemonicError::Invalid)
    }

    /// The words, single-spaced, as they are shown once to whoever made the key.
    pub fn phrase(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string())
    }

    /// The 64-byte seed under an empty passphrase, for [`XPrv::root`](crate::chainkd::XPrv::root).
    pub fn seed(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.to_seed_normalized(""))
    }

    /// Whether the last word fits the others. When it does not, a word is likely mistyped and the
    /// key another one.
    pub fn has_valid_checksum(&self) -> bool {
        let entropy = Zeroizing::new(self.0.to_entropy());
        bip39::Mnemonic::from_entropy_in(self.0.language(), &entropy)
            .is_ok_and(|regular| regular == self.0)
    }
}

impl fmt::Debug for Mnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mnemonic(secret)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHRASE: &str =
        "season version dilemma crowd filter lecture trim strategy viable atom young oven";

    #[test]
    fn a_phrase_is_never_printed_by_accident() {
        let phrase = Mnemonic::parse(PHRASE, Language::English).unwrap();
        assert_eq!(format!("{phrase:?}"), "Mnemonic(secret)");
        assert_eq!(*phrase.phrase(), PHRASE);
    }

    #[test]
    fn faults_are_told_in_bytoms_words() {
        let fault = |phrase: &str| {
            Mnemonic::parse(phrase, Language::English)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(fault(""), "mnemonic length error");
        assert_eq!(fault("season version"), "mnemonic length error");
        assert_eq!(fault(&"a ".repeat(5000)), "mnemonic length error");
        assert_eq!(fault(&PHRASE.replace("oven", "ofen")), "Invalid menomic");
        let language = |code: &str| code.parse::<Language>().unwrap_err().to_string();
        for known in ["fr", "de", "fr_FR", "en_US"] {
            assert_eq!(language(known), "Language Type Unsupported");
        }
        for unknown in ["", "xx", "english", "EN", "en_XX", "en-US", "zh_", "éé"] {
            assert_eq!(language(unknown), "Language Type Incorrect", "{unknown:?}");
        }
    }

    #[test]
    fn codes_name_their_languages() {
        for language in Language::ALL {
            assert_eq!(language.code().parse(), Ok(language));
        }
    }

    #[test]
    fn white_space_and_composition_do_not_change_the_key() {
        let neat = Mnemonic::parse(PHRASE, Language::English).unwrap();
        let loose = Mnemonic::parse(
            &format!("  {} \n", PHRASE.replace(' ', "\t ")),
            Language::English,
        )
        .unwrap();
        assert_eq!(neat.seed(), loose.seed());
        let words = Mnemonic::from_entropy(&[0x5a; ENTROPY_LEN], Language::Japanese);
        let wide = words.phrase().replace(' ', "\u{3000}");
        assert_eq!(
            Mnemonic::parse(&wide, Language::Japanese).unwrap().seed(),
            words.seed()
        );
        let composed = "ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco abierto";
        assert!(
            Mnemonic::parse(composed, Language::Spanish)
                .unwrap()
                .has_valid_checksum()
        );
    }

    #[test]
    fn a_wrong_checksum_is_taken_and_told() {
        let right = Mnemonic::parse(PHRASE, Language::English).unwrap();
        assert!(right.has_valid_checksum());
        let slip = Mnemonic::parse(&PHRASE.replace("oven", "over"), Language::English).unwrap();
        assert!(!slip.has_valid_checksum());
        assert_ne!(slip.seed(), right.seed());
    }

    proptest! {
        #[test]
        fn entropy_round_trips_in_every_language(entropy: [u8; ENTROPY_LEN], pick in 0..Language::ALL.len()) {
            let made = Mnemonic::from_entropy(&entropy, Language::ALL[pick]);
            let read = Mnemonic::parse(&made.phrase(), Language::ALL[pick]).unwrap();
            prop_assert_eq!(&read, &made);
            prop_assert!(read.has_valid_checksum());
        }

        #[test]
        fn any_text_is_parsed_or_refused(text: String, pick in 0..Language::ALL.len()) {
            let _ = Mnemonic::parse(&text, Language::ALL[pick]);
            let _ = text.parse::<Language>();
        }
    }
}
