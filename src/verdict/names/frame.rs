//! A frame in the one spelling that rules are written in.

use crate::verdict::category::Runtime;

/// A frame in the one spelling that rules are written in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::verdict) struct Frame {
    /// The canonical name, dotted, slashed or coloned as its language is.
    pub(in crate::verdict) text: String,
    /// A second name that may be claimed too: the trait of a Rust method.
    pub(in crate::verdict) alt: Option<String>,
    /// The runtime the spelling proves; `None` for a bare word such as `malloc` or `loads`.
    pub(in crate::verdict) own: Option<Runtime>,
    /// The library in the name, without path and version.
    pub(in crate::verdict) library: Option<String>,
    /// It is not known what ran: an address, a library alone, a marker of a broken stack.
    pub(in crate::verdict) unresolved: bool,
}

impl Frame {
    pub(super) fn new(text: impl Into<String>, own: Option<Runtime>) -> Self {
        Self { text: text.into(), own, ..Self::default() }
    }

    /// Whether the library in the name shows that it is user code, not the kernel's.
    pub(in crate::verdict) fn is_in_user_library(&self) -> bool {
        self.library.is_some() && self.own != Some(Runtime::Kernel)
    }

    /// The canonical name and then the second one.
    pub(in crate::verdict) fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.text.as_str()).chain(self.alt.as_deref())
    }

    pub(super) fn unresolved(text: &str, own: Option<Runtime>) -> Self {
        Self { text: text.to_owned(), own, unresolved: true, ..Self::default() }
    }
}
