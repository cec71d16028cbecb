//! Limits on the size of a profile, and why a profile cannot be read.

/// Limits of what a reader accepts. Every reader stops at the first limit that is exceeded and returns its name and
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes before inflating: 32 MiB.
    pub body: u64,
    /// Bytes after inflating: 256 MiB.
    pub inflated: u64,
    /// Samples (stacks): 1,000,000.
    pub samples: u64,
    /// Frames of one stack, inlined ones counted: 4,096.
    pub stack: u64,
    /// Frames of all stacks together, so that a few bytes cannot expand to gigabytes: 64 Mi.
    pub frames: u64,
    /// Texts, functions, locations, mappings and nodes of call trees together: 4 Mi.
    pub symbols: u64,
    /// Bytes of one name of a function, a file or a sample type: 16 KiB.
    pub name: u64,
    /// Sample types of one profile: 64.
    pub sample_types: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            body: 32 << 20,
            inflated: 256 << 20,
            samples: 1_000_000,
            stack: 4_096,
            frames: 64 << 20,
            symbols: 4 << 20,
            name: 16 << 10,
            sample_types: 64,
        }
    }
}

/// The one of the [`ReadLimits`] that was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitName {
    /// [`ReadLimits::body`]
    Body,
    /// [`ReadLimits::inflated`]
    Inflated,
    /// [`ReadLimits::samples`]
    Samples,
    /// [`ReadLimits::stack`]
    Stack,
    /// [`ReadLimits::frames`]
    Frames,
    /// [`ReadLimits::symbols`]
    Symbols,
    /// [`ReadLimits::name`]
    Name,
    /// [`ReadLimits::sample_types`]
    SampleTypes,
}

impl LimitName {
    /// The limit's name, as errors and documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Inflated => "inflated",
            Self::Samples => "samples",
            Self::Stack => "stack",
            Self::Frames => "frames",
            Self::Symbols => "symbols",
            Self::Name => "name",
            Self::SampleTypes => "sample types",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Body => "bytes",
            Self::Inflated => "bytes after inflating",
            Self::Samples => "samples",
            Self::Stack => "frames in one stack",
            Self::Frames => "frames in all stacks",
            Self::Symbols => "texts, functions, locations, mappings and nodes",
            Self::Name => "bytes in one name",
            Self::SampleTypes => "sample types",
        }
    }
}

/// Why bytes are not accepted as a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes are over a limit.
    #[error("the profile has more than {number} {} (limit {:?})", .limit.what(), .limit.as_str())]
    Limit {
        /// The limit passed.
        limit: LimitName,
        /// Its number.
        number: u64,
    },
    /// Compressed bytes that do not inflate.
    #[error("the profile does not inflate: {0}")]
    Compression(String),
    /// Not a profile of that format. `at` is a byte of the inflated profile, or a line of a text.
    #[error("the profile cannot be read: {what} (at {at})")]
    Malformed {
        /// What is wrong.
        what: String,
        /// Where.
        at: usize,
    },
    /// The values of one sample type add up to more than 2^63 − 1.
    #[error("the values of sample type {0:?} add up to more than a 64-bit integer holds")]
    Overflow(String),
}

impl ReadError {
    /// Whether the profile is over a limit, rather than unreadable.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::Limit { .. })
    }

    /// Whether these limits were passed where the larger `whole` may hold it: what failed held more than it said.
    pub fn lies_between(&self, lowered: &ReadLimits, whole: &ReadLimits) -> bool {
        let Self::Limit { limit, .. } = self else { return false };
        match limit {
            LimitName::Inflated => lowered.inflated < whole.inflated,
            LimitName::Frames => lowered.frames < whole.frames,
            LimitName::Symbols => lowered.symbols < whole.symbols,
            _ => false,
        }
    }

    /// The same of bytes that lie so far behind the start. What lies nowhere, at 0, stays there.
    pub(super) fn behind(self, start: usize) -> Self {
        match self {
            Self::Malformed { what, at: at @ 1.. } => Self::Malformed { what, at: at + start },
            other => other,
        }
    }

    pub(super) fn malformed(what: impl Into<String>, at: usize) -> Self {
        Self::Malformed { what: what.into(), at }
    }
}

impl LimitName {
    /// An error if `actual` is over `number`.
    pub(super) fn check(self, actual: usize, number: u64) -> Result<(), ReadError> {
        if actual as u64 > number { Err(ReadError::Limit { limit: self, number }) } else { Ok(()) }
    }
}
