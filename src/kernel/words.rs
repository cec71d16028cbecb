/// Makes an enum of words: each variant has one name, in rows, bodies and parameters.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The name in rows, bodies and parameters.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The one of that name.
            pub fn of_name(name: &str) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|one| one.as_str() == name)
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, reason = "the macro makes public enums")]

    words! {
        /// An example.
        Example:
        /// One word.
        One = "one",
        /// Two words.
        TwoWords = "two_words",
    }

    #[test]
    fn a_word_is_the_same_in_rows_and_in_bodies() {
        for one in [Example::One, Example::TwoWords] {
            assert_eq!(Example::of_name(one.as_str()), Some(one));
            assert_eq!(serde_json::to_value(one).unwrap(), one.as_str());
        }
        assert_eq!(Example::of_name("Two"), None);
    }
}
