use super::reader::Reader;

/// Section `profiles`.
#[derive(Debug, Clone, Copy)]
pub struct ProfilesSettings {
    /// Bytes of profiles that may be inflated at one time in this process.
    pub inflate_budget: u64,
}

impl ProfilesSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let inflate_budget = reader.number("profiles.inflate_budget", 1 << 20..=1_u64 << 40);
        Some(Self { inflate_budget: inflate_budget? })
    }
}
